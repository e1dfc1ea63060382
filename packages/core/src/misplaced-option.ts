import { LockConfigError } from "./errors.js";

/** What `createLocks` takes beside the backend. */
export const locksFields: readonly string[] = [
  "ttl",
  "waitTimeout",
  "backendTimeout",
  "owner",
  "prefix",
  "require",
  "on",
  "connect",
];

const usersPrefix = "what goes in front of every key, on every backend, is createLocks(…, { prefix })";

/** Options that are easily given in the wrong place, and what to write instead. */
const elsewhere: Readonly<Record<string, string>> = {
  prefix: `no prefix here: ${usersPrefix}; a backend's own space is "namespace" in Redis, the chroot in a URL of ZooKeeper, "schema" and "table" in SQL`,
  namespace: `no namespace here: it is Redis' own space, an option in its URL or entry, { url, namespace }; ${usersPrefix}`,
};

/** What is accepted instead of an option that is not known here. */
export function instead(field: string, fields: readonly string[]): string {
  if (Object.hasOwn(elsewhere, field)) return elsewhere[field] as string; // just seen
  return fields.length === 0 ? "no options here" : `only ${fields.join(", ")}`;
}

/** Throws `LockConfigError` for options of `createLocks` that were given to a backend: whose they are must not be a guess. */
export function refuseLocksOptions(path: (field: string) => string, options: Iterable<string>): void {
  for (const field of options) {
    if (!locksFields.includes(field)) continue;
    const accepted = elsewhere[field] ?? `it in the options of createLocks: createLocks(…, { ${field} })`;
    throw new LockConfigError(path(field), field, accepted);
  }
}
