import { LockConfigError } from "./errors.js";

/** The options in the query of a URL, each once. Throws `LockConfigError`. */
export function queryOf(text: string): Record<string, string> {
  const query = new URLSearchParams(text);
  for (const name of query.keys()) {
    if (query.getAll(name).length > 1) throw new LockConfigError("url", name, "each option once in its query");
  }
  return Object.fromEntries(query);
}

/** The options of a backend, from the query of its URL and from beside it. One that is in both and says two things is refused. */
export function mergeOptions(query: object, beside: object): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...query };
  for (const [field, value] of Object.entries(beside)) {
    if (value === undefined) continue;
    if (Object.hasOwn(query, field) && merged[field] !== value)
      throw new LockConfigError(
        field,
        value,
        "the same as in the query of the URL, or the option in one of the two places",
      );
    merged[field] = value;
  }
  return merged;
}
