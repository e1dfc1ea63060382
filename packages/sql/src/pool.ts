import { LockBackendError, monotonicNow, pause, type Signal } from "@dlock/core";
import type { Connection, Reply } from "./connection.js";
import type { Connector, Opened } from "./connector.js";
import type { Patience } from "./database.js";
import type { SessionTerms } from "./session.js";

/** ms that opening a connection may take, however soon whoever asked for it gives up. */
const opening = 5_000;

/** At most `size` connections, reused while they are good. Whoever comes when all are taken waits in line. */
export class Pool {
  readonly #connector: Connector;
  readonly #size: number;
  readonly #terms: SessionTerms;
  readonly #prepare: (opened: Opened) => Promise<unknown>;
  readonly #idle: Opened[] = [];
  readonly #line = new Set<AbortController>();
  /** Lent to statements that are not answered in time. As many others may be opened for them as the pool has. */
  readonly #slow = new Set<Opened>();
  readonly #preparing = new WeakMap<Opened, Promise<unknown>>();
  /** Opened or being opened. */
  #count = 0;
  /** Being opened. */
  #coming = 0;

  /** `prepare`: what each new connection does before all else. Must not reject. */
  constructor(
    connector: Connector,
    size: number,
    terms: SessionTerms = {},
    prepare: (opened: Opened) => Promise<unknown> = async () => {},
  ) {
    this.#connector = connector;
    this.#size = size;
    this.#terms = terms;
    this.#prepare = prepare;
  }

  /** One autocommit statement. */
  run(sql: string, bindings: readonly unknown[], until: number): Promise<Reply> {
    return this.use({ until }, ({ connection }) => connection.run(sql, bindings, until));
  }

  /**
   * Lends a connection, which has to come back as it was lent: without a transaction, lock or setting. From `slowFrom` on
   * others need not wait for it: a link that is dead must not take the connections from those who need one.
   */
  async use<Value>(patience: Patience, work: (opened: Opened) => Promise<Value>): Promise<Value> {
    const opened = await this.take(patience);
    const done = new AbortController();
    if (patience.slowFrom !== undefined) void this.#spare(opened, patience.slowFrom, done.signal);
    try {
      return await work(opened);
    } finally {
      done.abort();
      this.#slow.delete(opened);
      this.#give(opened);
    }
  }

  /** To be given back. Rejects with an error of dlock that says `noEffect`. */
  async take({ until, signal, atOnce = false }: Patience): Promise<Opened> {
    for (;;) {
      if (signal?.aborted) throw unserved("the call was given up");
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      const isRoom = this.#count - this.#slow.size < this.#size;
      if (atOnce) {
        if (isRoom) this.#keep(this.#open(until));
        throw unserved("no connection is free at present");
      }
      const opened = isRoom ? await this.#openAnother(until, signal) : await this.#wait(until, signal);
      if (opened !== undefined) return opened;
    }
  }

  /** Whoever leaves something behind in the session destroys the connection first. */
  #give(opened: Opened): void {
    if (opened.connection.lost.aborted) return;
    const isSurplus = this.#count - this.#coming - this.#slow.size > this.#size;
    if (isSurplus && this.#idle.length > 0 && this.#line.size === 0) return void opened.connection.close();
    this.#idle.push(opened);
    this.#next();
  }

  async #spare(opened: Opened, slowFrom: number, done: Signal): Promise<void> {
    await pause(slowFrom - monotonicNow(), { background: true, signal: done });
    if (done.aborted || this.#slow.size >= this.#size) return;
    this.#slow.add(opened);
    this.#next();
  }

  /** `undefined`: one came back in the meantime. Opening one takes more round trips than a statement. */
  async #openAnother(deadline: number, signal?: Signal): Promise<Opened | undefined> {
    const done = new AbortController();
    const opening = this.#open(deadline).finally(() => done.abort());
    await this.#wait(deadline, signal, done.signal);
    if (done.signal.aborted) return opening;
    this.#keep(opening);
    if (monotonicNow() >= deadline) throw unserved(`${this.#connector.source.value} did not answer in time`);
    return undefined;
  }

  /** For whoever comes next. */
  #keep(opening: Promise<Opened>): void {
    opening.then(
      async (opened) => {
        // Whoever found it idle would have to wait for it all the same.
        await this.#preparing.get(opened);
        this.#give(opened);
      },
      () => {},
    );
  }

  async #open(deadline: number): Promise<Opened> {
    this.#count++;
    this.#coming++;
    try {
      const opened = await this.#connector.open(Math.max(deadline, monotonicNow() + opening), this.#terms);
      const { connection } = opened;
      this.#preparing.set(opened, this.#prepare(opened));
      onEnd(connection, () => {
        const at = this.#idle.indexOf(opened);
        if (at >= 0) this.#idle.splice(at, 1);
        // The server has one more until it was told.
        void connection.destroy().then(() => this.#leave());
      });
      return opened;
    } catch (error) {
      this.#leave();
      throw error;
    } finally {
      this.#coming--;
    }
  }

  /** Until there may be one, or the wait is `done`. */
  async #wait(deadline: number, signal?: Signal, done?: Signal): Promise<undefined> {
    const turn = new AbortController();
    const left = deadline - monotonicNow();
    if (left <= 0 && done === undefined) throw unserved(`all ${this.#size} connections were taken until the deadline`);
    const abort = () => turn.abort();
    signal?.addEventListener("abort", abort);
    done?.addEventListener("abort", abort);
    this.#line.add(turn);
    await pause(left, { background: false, signal: turn.signal });
    this.#line.delete(turn);
    signal?.removeEventListener("abort", abort);
    done?.removeEventListener("abort", abort);
    // The turn may have been called when this one did not want it any more.
    if (signal?.aborted || done?.aborted || monotonicNow() >= deadline) this.#next();
  }

  #leave(): void {
    this.#count--;
    this.#next();
  }

  #next(): void {
    const [first] = this.#line;
    if (first === undefined) return;
    this.#line.delete(first);
    first.abort();
  }
}

function onEnd(connection: Connection, ended: () => void): void {
  if (connection.lost.aborted) ended();
  else connection.lost.addEventListener("abort", ended);
}

function unserved(why: string): LockBackendError {
  return new LockBackendError(why, { retryable: true, noEffect: true });
}
