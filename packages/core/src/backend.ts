import { loadAdapter } from "./adapters.js";
import { LockConfigError } from "./errors.js";
import { createProvider as createMemory } from "./memory/create-provider.js";
import type { Config } from "./options.js";
import type { LockProvider, ProviderContext } from "./provider.js";

/** What `createLocks` takes as its backend. */
export type Where = string | { readonly href: string } | { readonly url: string } | LockProvider | Config;

export interface Backend {
  readonly provider: LockProvider;
  /** Whether we opened it, and so close it. */
  readonly owned: boolean;
}

/** The provider that `where`, or else DLOCK_URL, names. Throws `LockConfigError`. */
export async function openBackend(where: Where | undefined, context: ProviderContext): Promise<Backend> {
  const chosen = where === undefined ? process.env["DLOCK_URL"] : where;
  if (isProvider(chosen)) return { provider: chosen, owned: false };
  const entry = entryOf(chosen);
  const [, scheme] = /^([a-z][a-z\d+.-]+):/i.exec(entry.url) ?? [];
  if (scheme === undefined)
    throw new LockConfigError("url", masked(entry.url), "a URL with a scheme, such as memory: or sqlite:./locks.db");
  const name = scheme.toLowerCase();
  const create = name === "memory" ? createMemory : await loadAdapter(name);
  return { provider: await create(entry, context), owned: true };
}

function entryOf(where: unknown): Config {
  if (typeof where === "string" && where !== "") return { url: where };
  if (typeof where === "object" && where !== null) {
    if ("href" in where && typeof where.href === "string") return { url: where.href };
    if ("url" in where && typeof where.url === "string") return where as Config;
  }
  const accepted =
    "a URL such as sqlite:./locks.db, { url, ...options }, a LockProvider, or DLOCK_URL in the environment";
  throw new LockConfigError("where", where, accepted);
}

/** Without what may be a user and a password. */
function masked(url: string): string {
  return url.replace(/[^/]*@/, "…@");
}

function isProvider(where: unknown): where is LockProvider {
  return typeof where === "object" && where !== null && "claim" in where && typeof where.claim === "function";
}
