import { LockConfigError } from "@dlock/core";
import { Cluster, type ClusterOptions, Redis, type RedisOptions as DriverOptions } from "ioredis";
import { isReadOnly } from "./failure.js";
import type { RedisClient } from "./redis-client.js";

/** Opens connections to one deployment. */
export interface Source {
  /** What the lent client puts before every key. */
  readonly keyPrefix: string;
  /** The database of the locks. The driver does not know of it: it would only report that it could not be selected, and go on in database 0. */
  readonly database: number;
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
  db: 0,
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
  // Once over all of them: after a failed connect the driver goes on behind the sentinel that answered.
  sentinelRetryStrategy: (rounds) => (rounds > 1 ? null : 0),
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
  // Else a command whose connection closed before its answer is sent again, also one whose caller was told that it failed.
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshTimeout: silence,
  keyPrefix: "",
};

/** One server, or the primary that Sentinel names. */
export function serverSource(options: DriverOptions): Source {
  // Only with Sentinel the driver has to look whether it met the primary; else scripts fail for as long as a server loads.
  const enableReadyCheck = options.sentinels !== undefined;
  return {
    keyPrefix: "",
    database: options.db ?? 0,
    open: () => new Redis({ ...options, ...safe, enableReadyCheck }),
  };
}

export function clusterSource(nodes: readonly { host: string; port: number }[], options: DriverOptions): Source {
  return {
    keyPrefix: "",
    database: 0,
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
    if (databasesOf(cluster).some((database) => database !== 0)) refuse("names no database: a cluster has one");
    return { keyPrefix, database: 0, open: () => cluster.duplicate([], { ...safeCluster, redisOptions: safe }) };
  }
  if (options.protocol === undefined) refuse("is of that version: another one keeps commands in other ways");
  if (options.monitor === true) refuse("does not monitor");
  if (options.readOnly === true || options.role === "slave") refuse("talks to the primary, not to a replica");
  const enableReadyCheck = Array.isArray(options.sentinels);
  const redis = client as unknown as Redis; // as above
  return {
    keyPrefix: textOf(options.keyPrefix),
    database: databaseOf(redis),
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

/** Where the client works now: the database that was selected last, which neither its options nor its copies know. */
function databaseOf(client: Redis): number {
  // What the driver restores once it is connected again.
  const { prevCondition } = client as unknown as { readonly prevCondition?: Redis["condition"] };
  return (prevCondition ?? client.condition)?.select ?? client.options.db ?? 0;
}

/** Every database that the options of a cluster name, those of its start-up nodes too. */
function databasesOf(cluster: Cluster): number[] {
  const { startupNodes = [] } = cluster as unknown as { readonly startupNodes?: readonly unknown[] };
  const named = [cluster.options.redisOptions, ...startupNodes].map((one) => {
    if (typeof one === "string") return /^[a-z]+:\/\/[^/?]*\/(\d+)|[?&]db=(\d+)/i.exec(one)?.slice(1).find(Boolean);
    return typeof one === "object" && one !== null && "db" in one ? one.db : 0;
  });
  return named.map((database) => Number(database ?? 0));
}
