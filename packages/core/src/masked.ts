import { isSecret, maskedText } from "./masked-text.js";

const hidden = "…";
/** Deeper than any printer looks by itself, and than errors are nested. */
const deepest = 10;

/**
 * What another piece of software said, such as the error of a driver, without what looks like credentials in it: itself if there are none, else a
 * copy. Errors are printed with all that hangs on them, so all of it counts.
 */
export function masked<Value>(value: Value): Value {
  return hides(value, "", new Set(), 0) ? (copy(value, "", new Map(), 0) as Value) : value;
}

function hides(value: unknown, name: string, seen: Set<object>, depth: number): boolean {
  if (typeof value === "string") return shown(value, name) !== value;
  if (typeof value !== "object" || value === null) return typeof value === "number" && isSecretOf(name);
  if (seen.has(value)) return false;
  seen.add(value);
  if (isSecretOf(name) || ArrayBuffer.isView(value)) return isSecretOf(name);
  if (depth >= deepest || isOurs(value)) return false;
  if (isUrl(value)) return hides(value.toString(), name, seen, depth);
  return entries(value).some(([field, item]) => hides(item, nameIn(value, field), seen, depth + 1));
}

function copy(value: unknown, name: string, copies: Map<object, unknown>, depth: number): unknown {
  if (typeof value === "string") return shown(value, name);
  if (typeof value !== "object" || value === null)
    return typeof value === "number" && isSecretOf(name) ? hidden : value;
  if (isSecretOf(name)) return hidden;
  if (copies.has(value)) return copies.get(value);
  if (ArrayBuffer.isView(value) || depth >= deepest || isOurs(value)) return value;
  if (isUrl(value)) return shown(value.toString(), name);
  const target = emptyLike(value);
  // A socket or a client keeps what it needs in places of its own: no copy of it would work.
  if (target === undefined) return hides(value, name, new Set(), depth) ? hidden : value;
  copies.set(value, target);
  for (const [field, item] of entries(value)) {
    const { enumerable = false } = Object.getOwnPropertyDescriptor(value, field) ?? {};
    const shownItem = copy(item, nameIn(value, field), copies, depth + 1);
    Object.defineProperty(target, field, { value: shownItem, enumerable, writable: true, configurable: true });
  }
  return target;
}

/** Its class stays, for those who look at that. */
function emptyLike(value: object): object | undefined {
  if (Array.isArray(value)) return [];
  const prototype: unknown = Object.getPrototypeOf(value);
  if (value instanceof Error) return Object.setPrototypeOf(new Error(), prototype as object) as Error;
  return prototype === Object.prototype || prototype === null ? {} : undefined;
}

type Field = string | symbol;

/** What is its own, also where it does not show at once; getters are asked by nobody here, but that of `stack`. */
function entries(value: object): readonly (readonly [field: Field, item: unknown])[] {
  if (value instanceof Set) return [...value].map((item) => ["", item]);
  if (value instanceof Map) {
    const pairs = [...(value as ReadonlyMap<unknown, unknown>)];
    return pairs.flatMap(([key, item]) => [["", key] as const, [typeof key === "string" ? key : "", item] as const]);
  }
  const fields = Reflect.ownKeys(value).filter((field) => !(Array.isArray(value) && field === "length"));
  return fields.map((field) => {
    const own = Object.getOwnPropertyDescriptor(value, field);
    return [field, field === "stack" ? (value as Error).stack : (own?.value as unknown)] as const;
  });
}

/** A `key` of an error is that of a lock; one among options is not. */
function nameIn(value: object, field: Field): string {
  const name = typeof field === "string" ? field : (field.description ?? "");
  return value instanceof Error ? name : `.${name}`;
}

function isUrl(value: object): value is URL | URLSearchParams {
  return value instanceof URL || value instanceof URLSearchParams;
}

/** Of this copy of the package or of another one: it was made without. */
function isOurs(value: object): boolean {
  return value instanceof Error && "code" in value && String(value.code).startsWith("LOCK_");
}

function isSecretOf(name: string): boolean {
  return name !== "" && isSecret(name);
}

function shown(text: string, name: string): string {
  if (name === "stack") return shownStack(text);
  return isSecretOf(name) ? hidden : maskedText(text);
}

/** Where it happened and the calls; a line of the source in between, as of a module that does not compile, may have anything in it. */
function shownStack(stack: string): string {
  const calls = stack.search(/\n\s+at /);
  const [head, frames] = calls < 0 ? [stack, ""] : [stack.slice(0, calls), stack.slice(calls)];
  const excerpt = /^(\S.*:\d+)\n.*?\n\s*\^+.*?\n\n?(?=\S)/s.exec(head);
  const said = excerpt ? `${excerpt[1] ?? ""}\n${head.slice(excerpt[0].length)}` : head;
  return maskedText(said) + maskedText(frames);
}
