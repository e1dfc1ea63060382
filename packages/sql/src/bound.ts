import type { Bindings } from "./database.js";
import { putSchema, quoteName } from "./in-schema.js";
import type { ServerSource } from "./server-source.js";

export interface Bound {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A statement with the placeholders of a server in place of named bindings, and of its tables' schema, which is also bound as `:schema`. */
export function bound(family: ServerSource["family"], sql: string, given: Bindings, schema: string): Bound {
  const numbered = family === "postgres";
  const bindings: Bindings = { ...given, schema };
  const values: string[] = [];
  const places = new Map<string, string>();
  const text = sql.replaceAll(/(?<!:):([a-z]+)/g, (whole, name: string) => {
    const value = bindings[name];
    if (value === undefined) return whole;
    const known = places.get(name);
    if (known !== undefined && numbered) return known;
    const list = typeof value === "object" ? padded(value) : [String(value)];
    const made = list.map((one) => (numbered ? `$${values.push(one)}` : (values.push(one), "?"))).join(", ");
    places.set(name, made);
    return made;
  });
  // Last: a name may look like a binding.
  return { text: putSchema(text, quoteName(family, schema)), values };
}

/** A list of one of a few lengths: servers keep a plan for each text, and not for ever so many. */
function padded(list: readonly string[]): readonly string[] {
  const length = 2 ** Math.ceil(Math.log2(list.length));
  return [...list, ...Array.from({ length: length - list.length }, () => list[0] ?? "")];
}
