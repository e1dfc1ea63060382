import { checkFields, checkOneOf, LockConfigError, type ProviderContext } from "@dlock/core";

export interface RedisOptions {
  /** Where the locks are among all keys of the server: put before every lock name, together they are the key that is set. Default `dlock:`; `""` shares keys with other libraries. */
  readonly namespace?: string | undefined;
  /** `fifo` (default): who waits is served in order, and told. `none`: whoever asks first when it is free. */
  readonly order?: "fifo" | "none" | undefined;
  /** How many replicas have to acknowledge a hold before it counts; default 0. */
  readonly replicas?: number | undefined;
  /** ms to wait for them, up to 2 000; default 500. */
  readonly replicaTimeout?: number | undefined;
  /** Hears what the provider reports about itself. Must not throw. */
  readonly emit?: ProviderContext["emit"] | undefined;
}

/** Where to connect to, when no client is handed in. */
export interface RedisServer {
  /** `redis:`, `rediss:`, `redis+sentinel:` or `redis+cluster:`; `redis+quorum:` for `redisQuorum` */
  readonly url: string;
  /** Options of `node:tls` for connections with TLS: `ca`, `cert`, `key` … */
  readonly tls?: object | undefined;
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
}

export interface Settings {
  readonly namespace: string;
  readonly order: "fifo" | "none";
  readonly replicas: number;
  readonly replicaTimeout: number;
  readonly emit: ProviderContext["emit"];
}

export const optionFields: readonly string[] = ["namespace", "order", "replicas", "replicaTimeout"];
export const serverFields: readonly string[] = ["tls", "sentinelUsername", "sentinelPassword"];

/** The options, checked and complete. */
export function settingsOf(options: RedisOptions): Settings {
  checkFields("options", options, [...optionFields, "emit"]);
  const { namespace = "dlock:", order = "fifo", replicas = 0, replicaTimeout = 500, emit = () => {} } = options;
  checkOneOf("order", order, ["fifo", "none"] as const);
  checkWhole("replicas", replicas, 0, 100);
  // Below the silence after which a connection is given up.
  checkWhole("replicaTimeout", replicaTimeout, 1, 2_000);
  if (typeof emit !== "function") throw new LockConfigError("emit", emit, "a function");
  return { namespace: checkNamespace(namespace), order, replicas, replicaTimeout, emit };
}

/** What Redis would store as another string, or what our own names are told by, cannot be a part of keys. */
export function checkNamespace(namespace: unknown, field = "namespace"): string {
  if (typeof namespace === "string" && !namespace.includes("\0") && !/\p{Surrogate}/u.test(namespace)) return namespace;
  throw new LockConfigError(field, namespace, "a well-formed string without NUL");
}

function checkWhole(field: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  throw new LockConfigError(field, value, `a whole number from ${least} to ${most}`);
}
