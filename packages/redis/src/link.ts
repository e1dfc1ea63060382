import { LockBackendError, LockConfigError, LockError, settleBy } from "@dlock/core";
import type { Cluster, Redis } from "ioredis";
import type { Source } from "./client.js";
import { failure, isRefusal, isStranger, isUnknownScript } from "./failure.js";
import { connect, disconnect } from "./driver.js";
import { greet, learnTime } from "./greeting.js";
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
  /** Called with what is wrong when a server refuses the connection for what the configuration says. Must not throw. */
  onRefused: (message: string) => void = () => {};
  readonly #database: number;
  readonly #clocks = new Map<Node, ServerClock>();
  /** With nodes of a cluster that are being connected to: a command for one of them would be rejected. */
  readonly #meetings = new Map<Node, Promise<void>>();
  /** Scripts that were sent in full since the last connect: to be told that one is unknown costs a round trip, for which a lease may have no time. */
  readonly #sent = new Set<string>();
  #connecting: Promise<void> | undefined;
  #trouble: unknown;
  #closed = false;

  constructor(source: Source) {
    this.#database = source.database;
    this.client = source.open();
    this.client.on("error", (error: unknown) => this.#blame(error));
    if (!isCluster(this.client)) return;
    const cluster = this.client;
    cluster.on("node error", (error: unknown, node: Node) => {
      this.#blame(error);
      // The others go on, and a call for this one may hear no more than that its connection is closed.
      if (isStranger(error)) this.onRefused(`${node}: ${failure(error).message}`);
    });
    cluster.on("+node", (node: Redis) => void this.#meet(node));
    cluster.on("refresh", () => this.onNodes());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Connected, at the latest by the deadline (monotonic ms). */
  async ready(deadline: number): Promise<void> {
    if (this.#closed) throw new LockBackendError("the provider is closed", { noEffect: true });
    if (this.#usable) return;
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
    if (!this.#usable) await this.ready(deadline);
    await this.#meetings.get(this.nodeOf(keys.slot));
    const { names } = keys;
    const isSent = this.#sent.has(script.sha);
    this.#sent.add(script.sha);
    try {
      if (isSent) return await this.greeted.evalsha(script.sha, names.length, ...names, ...args);
      return await this.greeted.eval(script.lua, names.length, ...names, ...args);
    } catch (error) {
      if (isUnknownScript(error)) return this.greeted.eval(script.lua, names.length, ...names, ...args);
      if (!isRefusal(error)) this.refresh();
      throw error;
    }
  }

  /** The client, for commands about locks. Throws while its connection may be in another database. */
  get greeted(): Redis | Cluster {
    if (!this.#usable) throw new LockBackendError("redis is not connected", { retryable: true, noEffect: true });
    return this.client;
  }

  get #usable(): boolean {
    return this.client.status === "ready" && this.#connecting === undefined && !this.#closed;
  }

  /** The server that serves the slot. */
  nodeOf(slot: number): Node {
    return isCluster(this.client) ? (this.client.slots[slot]?.[0] ?? "") : "";
  }

  clockOf(slot: number): ServerClock {
    return this.#clockOf(this.nodeOf(slot));
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
    this.#sent.clear();
    try {
      await connect(this.client);
      if (isCluster(this.client)) await this.#meetAll(this.client);
      else await greet(this.client, this.#database, this.#clockOf(""));
    } catch (error) {
      await disconnect(this.client);
      const reason = unconnected(error instanceof LockError || isRefusal(error) ? error : (this.#trouble ?? error));
      if (reason instanceof LockConfigError) this.onRefused(reason.message);
      throw reason;
    }
    this.onConnected();
    this.onNodes();
  }

  async #meetAll(cluster: Cluster): Promise<void> {
    await Promise.all(cluster.nodes("master").map((node) => this.#meet(node)));
    if (![...this.#clocks.values()].some(({ known }) => known)) throw new Error("no server told its time");
  }

  #meet(node: Redis): Promise<void> {
    const name = `${node.options.host}:${node.options.port}`;
    const meeting = this.#meetNode(node, name).finally(() => this.#meetings.delete(name));
    this.#meetings.set(name, meeting);
    return meeting;
  }

  /** Connects to a node of a cluster, which has one database, and learns what its clock shows. Never rejects. */
  async #meetNode(node: Redis, name: Node): Promise<void> {
    // The driver met it because of a command, which it would reject if the node were not as it made it.
    await Promise.resolve();
    try {
      if (node.status === "wait") await node.connect();
      await learnTime(node, this.#clockOf(name));
    } catch (error) {
      this.#blame(error);
    }
  }

  /** What a server says says more than that nobody could be reached. */
  #blame(error: unknown): void {
    if (isRefusal(error) || !isRefusal(this.#trouble)) this.#trouble = error;
  }

  #clockOf(node: Node): ServerClock {
    const clock = this.#clocks.get(node) ?? new ServerClock();
    this.#clocks.set(node, clock);
    return clock;
  }
}

function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster;
}

function silent(): LockBackendError {
  return new LockBackendError("redis did not answer in time", { retryable: true, noEffect: true });
}

function unconnected(cause: unknown): LockError {
  const error = failure(cause);
  if (!(error instanceof LockBackendError) || error === cause) return error;
  const { message, retryable } = error;
  return new LockBackendError(message.replace("redis failed", "redis cannot be reached"), {
    cause,
    retryable,
    noEffect: true,
  });
}
