import { LockConfigError } from "@dlock/core";
import { Cluster, type ClusterOptions, Redis, type RedisOptions as DriverOptions } from "ioredis";
import { isReadOnly } from "./failure.js";
import type { RedisClient } from "./redis-client.js";

/** Opens connections to one deployment. */
export interface Source {
  /** What the lent client puts before every key. */
  readonly keyPrefix: string;
  open(): Redis | Cluster;
}

/** ms of silence after which a connection that owes an answer is destroyed. */
const silence = 3_000;

/**
 * The driver's defaults keep commands and send them again after a reconnect, long after their callers gave up. With
 * these, a command is sent at once or rejected, and whatever is under way ends with its connection.
 */
export const safe: DriverOptions & { replyMapping: "legacy" } = {
  lazyConnect: true,
  retryStrategy: null,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  connectTimeout: silence,
  socketTimeout: silence,
  commandTimeout: silence + 1_000,
  sentinelCommandTimeout: silence,
  sentinelRetryStrategy: () => null,
  // A demoted primary: the next call finds the new one.
  reconnectOnError: isReadOnly,
  keyPrefix: "",
  replyMapping: "legacy",
  stringNumbers: false,
  readOnly: false,
};

const safeCluster: ClusterOptions = {
  lazyConnect: true,
  clusterRetryStrategy: () => null,
  clusterNodeRetryStrategy: null,
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  // It would ask a node that is not connected yet, and give up.
  enableReadyCheck: false,
  scaleReads: "master",
  slotsRefreshTimeout: silence,
  keyPrefix: "",
};

/** One server, or the primary that Sentinel names. */
export function serverSource(options: DriverOptions): Source {
  // Only with Sentinel the driver has to look whether it met the primary; else scripts fail for as long as a server loads.
  const enableReadyCheck = options.sentinels !== undefined;
  return { keyPrefix: "", open: () => new Redis({ ...options, ...safe, enableReadyCheck }) };
}

export function clusterSource(nodes: readonly { host: string; port: number }[], options: DriverOptions): Source {
  return {
    keyPrefix: "",
    open: () => new Cluster([...nodes], { ...safeCluster, redisOptions: { ...options, ...safe } }),
  };
}

/** Connections like the client's, which itself is never used. Refuses a client whose connections could not hold locks. */
export function lentSource(client: RedisClient): Source {
  const options = client.options as DriverOptions & ClusterOptions;
  const refuse = (why: string): never => {
    throw new LockConfigError("client", client, `a client of ioredis 6 that ${why}`);
  };
  if (client instanceof Object && "isCluster" in client && client.isCluster === true) {
    const keyPrefix = textOf(options.keyPrefix || options.redisOptions?.keyPrefix);
    const cluster = client as unknown as Cluster; // told by its mark: it may come from another copy of ioredis
    return { keyPrefix, open: () => cluster.duplicate([], { ...safeCluster, redisOptions: safe }) };
  }
  if (options.protocol === undefined) refuse("is of that version: another one keeps commands in other ways");
  if (options.monitor === true) refuse("does not monitor");
  if (options.readOnly === true || options.role === "slave") refuse("talks to the primary, not to a replica");
  const enableReadyCheck = Array.isArray(options.sentinels);
  const redis = client as unknown as Redis; // as above
  return {
    keyPrefix: textOf(options.keyPrefix),
    open: () => redis.duplicate({ ...safe, enableReadyCheck }),
  };
}

/** The driver takes bytes as well: those of a text are as good as the text. */
function textOf(keyPrefix: unknown = ""): string {
  const text = keyPrefix instanceof Uint8Array ? Buffer.from(keyPrefix).toString() : keyPrefix;
  const same = text === keyPrefix || Buffer.from(String(text)).equals(keyPrefix as Uint8Array);
  if (typeof text === "string" && same) return text;
  throw new LockConfigError("keyPrefix", keyPrefix, "text");
}
