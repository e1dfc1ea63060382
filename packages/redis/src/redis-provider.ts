import {
  checkFields,
  type ClaimRequest,
  type LeaseClaim,
  LockConfigError,
  type LockProvider,
  type LockStatus,
} from "@dlock/core";
import { lentSource } from "./client.js";
import { openProvider } from "./lease-provider.js";
import { type RedisOptions, type RedisServer, serverFields } from "./options.js";
import type { RedisClient } from "./redis-client.js";
import { parseUrl } from "./url.js";

export interface RedisProvider extends LockProvider {
  claim(request: ClaimRequest): LeaseClaim;
  inspect(key: string): Promise<LockStatus>;
  forceRelease(key: string): Promise<boolean>;
  connect(): Promise<void>;
  close(): Promise<void>;
}

/** Locks in Redis: on connections like those of the client, which itself is not used, or to the server that a URL names. */
export function redisProvider(where: RedisClient | RedisServer, options: RedisOptions = {}): RedisProvider {
  if (isClient(where)) return openProvider(lentSource(where), options);
  checkFields("where", where, ["url", ...serverFields]);
  const { source, query } = parseUrl(where);
  checkFields("url", query, []);
  return openProvider(source, options);
}

function isClient(where: unknown): where is RedisClient {
  if (typeof where !== "object" || where === null)
    throw new LockConfigError("where", where, "a client of ioredis 6, or { url }");
  return (
    "duplicate" in where &&
    typeof where.duplicate === "function" &&
    "options" in where &&
    typeof where.options === "object"
  );
}
