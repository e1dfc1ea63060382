import { LockConfigError } from "../errors.js";
import { child } from "./path.js";

const variable = /\$(\$\{)|\$\{([^}]*)(\}?)/g;

/** A copy in which the strings (not the names of fields) have the environment's variables in them. Throws `LockConfigError` for one that is not set. */
export function interpolate(value: unknown, path: string): unknown {
  if (typeof value === "string") return fill(value, path);
  if (Array.isArray(value)) return value.map((item, index) => interpolate(item, child(path, index)));
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, interpolate(item, child(path, name))]));
}

function fill(text: string, path: string): string {
  return text.replace(variable, (found, literal: string | undefined, inside: string, end: string) => {
    if (literal !== undefined) return literal;
    const [, name, fallback] = /^(\w+)(?::-(.*))?$/s.exec(inside) ?? [];
    if (name === undefined || end === "") {
      // The rest may be a default, or a password with a plain ${ in it.
      const [known = ""] = /^\w*/.exec(inside) ?? [];
      const shown = `\${${known}${known === inside ? "" : "…"}${end}`;
      throw new LockConfigError(path, shown, "${NAME}, ${NAME:-default}, or $${ for a plain ${");
    }
    // The environment inherits from `Object`, whose members are no variables.
    const value = (Object.hasOwn(process.env, name) && process.env[name]) || fallback;
    if (value !== undefined) return value;
    throw new LockConfigError(path, found, `the environment variable ${name} to be set, or a default: \${${name}:-…}`);
  });
}

/** Clients and certificates are handed on as they are. */
function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
