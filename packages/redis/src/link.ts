import { LockBackendError, monotonicNow, settleBy } from "@dlock/core";
import type { Cluster, Redis } from "ioredis";
import type { Source } from "./client.js";
import { failure, isUnknownScript } from "./failure.js";
import type { LockKeys } from "./keys.js";
import type { Script } from "./scripts/script.js";
import { ServerClock } from "./server-clock.js";

/** Names one server of the deployment, for as long as it is that server. */
export type Node = string;

/** Commands to one deployment over connections of its own, made when a call needs them. */
export class Link {
  readonly client: Redis | Cluster;
  /** Called after every connect. Must not throw. */
  onConnected: () => void = () => {};
  /** Called when the servers may be others than before. Must not throw. */
  onNodes: () => void = () => {};
  readonly #clocks = new Map<Node, ServerClock>();
  #connecting: Promise<void> | undefined;
  #trouble: unknown;
  #closed = false;

  constructor(source: Source) {
    this.client = source.open();
    this.client.on("error", (error: unknown) => (this.#trouble = error));
    if (!isCluster(this.client)) return;
    const cluster = this.client;
    cluster.on("node error", (error: unknown) => (this.#trouble = error));
    cluster.on("+node", (node: Redis) => void this.#meet(node));
    cluster.on("refresh", () => this.onNodes());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Connected, at the latest by the deadline (monotonic ms). */
  async ready(deadline: number): Promise<void> {
    if (this.#closed) throw new LockBackendError("the provider is closed", { noEffect: true });
    if (this.client.status === "ready" && this.#connecting === undefined) return;
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    const connecting = this.#connecting;
    await settleBy(
      () => connecting,
      deadline,
      () => silent(),
      { background: false },
    );
  }

  /** The script's reply. Rejects with the driver's error. */
  async run(script: Script, keys: LockKeys, args: readonly (string | number)[], deadline: number): Promise<unknown> {
    if (this.client.status !== "ready" || this.#connecting !== undefined || this.#closed) await this.ready(deadline);
    const { names } = keys;
    try {
      return await this.client.evalsha(script.sha, names.length, ...names, ...args);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return this.client.eval(script.lua, names.length, ...names, ...args);
    }
  }

  /** The server that serves the slot. */
  nodeOf(slot: number): Node {
    return isCluster(this.client) ? (this.client.slots[slot]?.[0] ?? "") : "";
  }

  clockOf(slot: number): ServerClock {
    const node = this.nodeOf(slot);
    const clock = this.#clocks.get(node) ?? new ServerClock();
    this.#clocks.set(node, clock);
    return clock;
  }

  /** The monotonic time in µs of the server's clock, or a little earlier. A server whose clock is not known yet is held to be the latest one. */
  serverTime(slot: number, at: number): string {
    const clock = this.clockOf(slot);
    const offset = clock.known
      ? clock.offset
      : Math.min(...[...this.#clocks.values()].filter(({ known }) => known).map((one) => one.offset));
    return Math.floor(at * 1_000 + offset).toFixed(0);
  }

  /** One connection to each primary. */
  primaries(): readonly Redis[] {
    return isCluster(this.client) ? this.client.nodes("master") : [this.client];
  }

  /** Asks a cluster who serves what. */
  refresh(): void {
    if (isCluster(this.client) && this.client.status === "ready") this.client.refreshSlotsCache();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.client.disconnect();
  }

  async #connect(): Promise<void> {
    this.#trouble = undefined;
    this.#clocks.clear();
    try {
      await open(this.client);
      await Promise.all(this.primaries().map((node) => this.#meet(node)));
      if (![...this.#clocks.values()].some(({ known }) => known)) throw new Error("no server told its time");
    } catch (error) {
      if (this.client.status === "ready") this.client.disconnect();
      throw unconnected(this.#trouble ?? error);
    }
    this.onConnected();
    this.onNodes();
  }

  /** Connects to a node and learns what its clock shows. */
  async #meet(node: Redis): Promise<void> {
    try {
      if (node.status === "wait") await node.connect();
      const askedAt = monotonicNow();
      const [seconds, micros] = await node.time();
      const name = isCluster(this.client) ? `${node.options.host}:${node.options.port}` : "";
      const clock = this.#clocks.get(name) ?? new ServerClock();
      this.#clocks.set(name, clock);
      clock.learn(Number(seconds) * 1_000_000 + Number(micros), askedAt);
    } catch (error) {
      this.#trouble ??= error;
    }
  }
}

/** `connect` of a cluster stays silent about some of its failures. */
function open(client: Redis | Cluster): Promise<void> {
  let ended = () => {};
  const opened = new Promise<void>((resolve, reject) => {
    ended = () => reject(new Error("the connection was closed"));
    client.once("end", ended);
    client.connect().then(resolve, reject);
  });
  return opened.finally(() => client.off("end", ended));
}

function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster;
}

function silent(): LockBackendError {
  return new LockBackendError("redis did not answer in time", { retryable: true, noEffect: true });
}

function unconnected(cause: unknown): LockBackendError {
  const { message, retryable } = failure(cause) as LockBackendError;
  return new LockBackendError(message.replace("redis failed", "redis cannot be reached"), {
    cause,
    retryable,
    noEffect: true,
  });
}
