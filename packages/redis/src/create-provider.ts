import {
  checkFields,
  LockConfigError,
  type LockProvider,
  mergeOptions,
  type ProviderContext,
  type ProviderEntry,
} from "@dlock/core";
import { openProvider } from "./lease-provider.js";
import { optionFields, type RedisOptions, type RedisServer, serverFields } from "./options.js";
import { openQuorum, quorumFields } from "./open-quorum.js";
import type { RedisQuorumOptions } from "./redis-quorum.js";
import { isQuorumUrl, parseQuorumUrl, parseUrl } from "./url.js";

const numbers = ["replicas", "replicaTimeout", "memberTimeout"];

/**
 * The locks of a `redis:`, `rediss:`, `redis+sentinel:`, `redis+cluster:` or `redis+quorum:` URL. Options may be in its
 * query or beside it in the entry.
 */
export function createProvider(entry: ProviderEntry, context: ProviderContext): LockProvider {
  const emit: ProviderContext["emit"] = (notice) => context.emit(notice);
  if (isQuorumUrl(entry.url)) {
    const server = serverOf(entry, ["tls"], quorumFields);
    const { servers, query } = parseQuorumUrl(server);
    return openQuorum(servers, { ...(optionsOf(entry, query, quorumFields) as RedisQuorumOptions), emit });
  }
  const server = serverOf(entry, serverFields, optionFields);
  const { source, query } = parseUrl(server);
  return openProvider(source, { ...(optionsOf(entry, query, optionFields) as RedisOptions), emit });
}

function serverOf({ url, ...beside }: ProviderEntry, own: readonly string[], others: readonly string[]): RedisServer {
  checkFields("entry", beside, [...others, ...own]);
  const server = Object.fromEntries(own.filter((field) => field in beside).map((field) => [field, beside[field]]));
  for (const [field, kind] of [
    ["tls", "object"],
    ["sentinelUsername", "string"],
    ["sentinelPassword", "string"],
  ] as const) {
    const value = server[field];
    if (value === undefined || (typeof value === kind && value !== null)) continue;
    throw new LockConfigError(field, typeof value, kind === "object" ? "an object of TLS options" : "a string");
  }
  return { ...server, url } as RedisServer;
}

/** Checked for what they are where they are used. */
function optionsOf(entry: ProviderEntry, query: object, fields: readonly string[]): object {
  checkFields("url", query, fields);
  const said = Object.entries(query).map(([field, value]) => [field, numbers.includes(field) ? Number(value) : value]);
  const beside = Object.entries(entry).filter(([field]) => fields.includes(field));
  return mergeOptions(Object.fromEntries(said), Object.fromEntries(beside));
}
