import { checkFields, LockConfigError, type ProviderContext, type ProviderEntry } from "@dlock/core";
import { openProvider } from "./lease-provider.js";
import { optionFields, type RedisOptions, type RedisServer, serverFields } from "./options.js";
import type { RedisProvider } from "./redis-provider.js";
import { parseUrl } from "./url.js";

const numbers = ["replicas", "replicaTimeout"];

/** The locks of a `redis:`, `rediss:`, `redis+sentinel:` or `redis+cluster:` URL. Options may be in its query or beside it in the entry, which wins. */
export function createProvider(entry: ProviderEntry, context: ProviderContext): RedisProvider {
  const { url, ...beside } = entry;
  checkFields("entry", beside, [...optionFields, ...serverFields]);
  const server = Object.fromEntries(
    serverFields.filter((field) => field in beside).map((field) => [field, beside[field]]),
  );
  for (const [field, kind] of [
    ["tls", "object"],
    ["sentinelUsername", "string"],
    ["sentinelPassword", "string"],
  ] as const) {
    const value = server[field];
    if (value === undefined || (typeof value === kind && value !== null)) continue;
    throw new LockConfigError(field, typeof value, kind === "object" ? "an object of TLS options" : "a string");
  }
  const { source, query } = parseUrl({ ...server, url } as RedisServer);
  checkFields("url", query, optionFields);
  const options: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(query)) options[field] = numbers.includes(field) ? Number(value) : value;
  for (const field of optionFields) if (beside[field] !== undefined) options[field] = beside[field];
  // Checked for what they are where they are used.
  return openProvider(source, { ...(options as RedisOptions), emit: (notice) => context.emit(notice) });
}
