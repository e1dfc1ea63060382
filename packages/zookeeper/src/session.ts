import { type Moment, monotonicNow, settleBy } from "@dlock/core";
import type { Stat as WireStat } from "node-zookeeper-client/lib/jute/index.js";
import { Certainty } from "./session/certainty.js";
import { Connection } from "./session/connection.js";
import { Keepers } from "./session/keepers.js";
import { type Acl, type NodeKind, type Operation } from "./session/operation.js";
import * as operations from "./session/operation.js";
import { type Stat, statOf } from "./session/stat.js";
import type { Answer, Credentials, Server } from "./session/terms.js";
import { type Watch, Watches } from "./session/watches.js";
import { refusal, ZooKeeperError } from "./session/zookeeper-error.js";

export type { Credentials, Server } from "./session/terms.js";
export type { Acl, NodeKind } from "./session/operation.js";
export type { Stat } from "./session/stat.js";
export type { Watch } from "./session/watches.js";
export { type Failure, ZooKeeperError } from "./session/zookeeper-error.js";

export interface SessionOptions {
  readonly servers: readonly Server[];
  /** ms asked for; what the server grants is the session's `timeout`. */
  readonly timeout: number;
  readonly auth?: readonly Credentials[] | undefined;
  /** The ensemble's `tickTime`, if it is known: sessions are certain for longer then. */
  readonly tickTime?: number | undefined;
}

/** ms that an orderly end may take. */
const farewell = 1_000;
/** ms that an orderly end waits for a connection which is just being made. */
const reunion = 300;

/**
 * One session with an ensemble; the only place that knows which client speaks. Every call settles: by its answer, by
 * CONNECTION_LOSS (a server that owes an answer for too long is left), or by the end of the session. Nothing is queued
 * while disconnected. No call waits for the one before it; they are answered in order.
 */
export class Session {
  readonly #connection: Connection;
  readonly #certainty: Certainty;
  readonly #watches = new Watches();
  readonly #keepers: Keepers;
  readonly #lost = new AbortController();
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #awaited = new Set<(error?: ZooKeeperError) => void>();

  private constructor({ servers, timeout, auth = [], tickTime }: SessionOptions) {
    this.#certainty = new Certainty(tickTime);
    this.#connection = new Connection(
      { servers, timeout: Math.round(timeout), auth },
      {
        connected: (asked) => this.#connected(asked),
        disconnected: () => this.#tell(false),
        answered: (asked) => this.#certainty.answered(asked, monotonicNow(), this.timeout),
        refused: (cause) => this.#refused(cause),
        noticed: (path) => this.#watches.fire(path),
        pulse: () => this.#pulse(),
        ended: (reason) => this.#ended(reason),
      },
    );
    this.#keepers = new Keepers((paths) =>
      this.#call(operations.check(paths), ({ payload }: Answer<{ results: { err?: number }[] }>) =>
        payload.results.map(({ err }) => err ?? 0),
      ),
    );
  }

  /** Connected and authenticated. Rejects by `until` (monotonic ms), early when every server was tried once, and when `signal` aborts. */
  static async open(options: SessionOptions, until: number, signal?: AbortSignal): Promise<Session> {
    const session = new Session(options);
    const giveUp = () =>
      session.#connection.stop(new ZooKeeperError("CLOSED", "the session was given up", { noEffect: true }));
    session.#connection.open();
    signal?.addEventListener("abort", giveUp);
    try {
      await session.ready(until);
    } catch (error) {
      giveUp();
      throw error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
    return session;
  }

  /** `ephemeralOwner` of its nodes. */
  get id(): bigint {
    return this.#connection.sessionId;
  }

  /** ms, as granted. */
  get timeout(): number {
    return this.#connection.timeout;
  }

  /** Aborts once, for good: expired, closed, refused, or no server was reached for two timeouts. Then every watch is told and every call rejects. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** false is doubt, not loss. */
  get connected(): boolean {
    return this.#connection.connected;
  }

  /** Tells of every change of `connected`, until the returned function is called. */
  onConnection(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Connected. Rejects by `until`, and at once when the session is lost. */
  async ready(until: number): Promise<void> {
    if (this.#connection.end) throw this.#connection.end;
    // Not merely connected: who asks again at once whenever a call is not sent would keep the broken socket from closing.
    if (this.#connection.ready) return;
    let tell: ((error?: ZooKeeperError) => void) | undefined;
    const told = new Promise<void>((resolve, reject) => {
      tell = (error) => (error ? reject(error) : resolve());
      this.#awaited.add(tell);
    });
    const late = () => new ZooKeeperError("CONNECTION_LOSS", "no server was ready in time", { noEffect: true });
    try {
      await settleBy(() => told, until, late, { background: false });
    } finally {
      if (tell) this.#awaited.delete(tell);
    }
  }

  /** Monotonic ms up to which the session certainly lives, whatever became of its connection. Every acknowledged write moves it. */
  certainUntil(): number {
    return this.#lost.signal.aborted ? Number.NEGATIVE_INFINITY : this.#certainty.until;
  }

  /** The leader says that the node exists; NO_NODE: it is certainly gone. Those asked for in one turn share a request. */
  heartbeat(path: string): Promise<void> {
    return this.#keepers.check(path);
  }

  /** Has the leader asked about the node from time to time, until the returned function is called; `gone` is called once when it is no more. */
  keep(path: string, gone: () => void): () => void {
    return this.#keepers.keep(path, gone);
  }

  /** The node's creation zxid comes with the answer. */
  create(
    path: string,
    data: Uint8Array,
    how: { readonly kind: NodeKind; readonly acl?: readonly Acl[] | undefined },
  ): Promise<{ readonly path: string; readonly czxid: bigint }> {
    const created = ({ payload, zxid }: Answer<{ path?: string }>) => ({ path: payload.path ?? path, czxid: zxid });
    return this.#call(operations.create(path, data, how.kind, how.acl), created);
  }

  /** The watch is set only if the call resolves. */
  getChildren(path: string, watch?: Watch): Promise<{ readonly children: readonly string[]; readonly stat: Stat }> {
    return this.#call(
      operations.getChildren(path, watch !== undefined),
      ({ payload }: Answer<{ children?: (string | undefined)[]; stat: WireStat }>) => {
        if (watch) this.#watches.add(path, watch);
        return { children: (payload.children ?? []).map(String), stat: statOf(payload.stat) };
      },
    );
  }

  /** The watch is set only if the call resolves. */
  getData(path: string, watch?: Watch): Promise<{ readonly data: Uint8Array; readonly stat: Stat }> {
    return this.#call(
      operations.getData(path, watch !== undefined),
      ({ payload }: Answer<{ data?: Uint8Array; stat: WireStat }>) => {
        if (watch) this.#watches.add(path, watch);
        return { data: payload.data ?? new Uint8Array(), stat: statOf(payload.stat) };
      },
    );
  }

  async exists(path: string): Promise<Stat | undefined> {
    try {
      const read = ({ payload }: Answer<{ stat: WireStat }>) => statOf(payload.stat);
      return await this.#call(operations.exists(path), read);
    } catch (error) {
      if (error instanceof ZooKeeperError && error.reason === "NO_NODE") return undefined;
      throw error;
    }
  }

  /** Version -1: whichever it has. */
  setData(path: string, data: Uint8Array, version: number): Promise<Stat> {
    const read = ({ payload }: Answer<{ stat: WireStat }>) => statOf(payload.stat);
    return this.#call(operations.setData(path, data, version), read);
  }

  /** Version -1: whichever it has. */
  delete(path: string, version: number): Promise<void> {
    return this.#call(operations.remove(path, version), () => {});
  }

  /** Deletes the node and makes an ephemeral one, both or neither. */
  async replace(path: string, by: string, data: Uint8Array, acl: readonly Acl[]): Promise<void> {
    const read = ({ payload }: Answer<{ results: { err?: number }[] }>) => payload.results.map(({ err = 0 }) => err);
    const codes = await this.#call(operations.replace(path, by, data, acl), read);
    // 0 in those before the one that failed.
    const failed = codes.find((code) => code !== 0);
    if (failed !== undefined) throw refusal(failed, `replace ${path}`);
  }

  /** Later reads see what the leader had committed by now. */
  sync(path: string): Promise<void> {
    return this.#call(operations.sync(path), () => {});
  }

  /** It will not be called any more. */
  unwatch(watch: Watch): void {
    this.#watches.remove(watch);
  }

  /** Safe in every state; ends the session at the server when that can be reached. Never rejects. */
  async close(): Promise<void> {
    await this.ready(monotonicNow() + reunion).catch(() => {});
    await this.#connection.close(monotonicNow() + farewell);
  }

  #call<Payload, Result>(operation: Operation, read: (answer: Answer<Payload>) => Result): Promise<Result> {
    return this.#connection.call(operation, (answer: Answer<Payload>) => {
      if (operation.throughLeader) this.#certainty.confirmed(answer.asked, this.timeout);
      return read(answer);
    });
  }

  #connected(asked: Moment): void {
    this.#certainty.renewed(asked, this.timeout);
    for (const tell of this.#awaited) tell();
    this.#tell(true);
    this.#pulse();
    // What the server would have told meanwhile is read again instead: asking for watches again has its own limits.
    this.#watches.fireAll();
  }

  /** Keeps the session alive, and certain. */
  #pulse(): void {
    if (this.#keepers.idle) this.exists("/").catch(() => {});
    else this.#keepers.beat();
  }

  #refused(cause: Error | undefined): void {
    const said = cause ? `: ${cause.message}` : "";
    const error = new ZooKeeperError("CONNECTION_LOSS", `no server had a session to give${said}`, {
      noEffect: true,
      cause,
    });
    for (const tell of this.#awaited) tell(error);
  }

  #ended(reason: ZooKeeperError): void {
    this.#lost.abort(reason);
    for (const tell of this.#awaited) tell(reason);
    this.#tell(false);
    this.#watches.fireAll();
  }

  #tell(connected: boolean): void {
    for (const listener of this.#listeners) listener(connected);
  }
}
