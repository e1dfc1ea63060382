import { LockBackendError, monotonicNow, pause, type Signal } from "@dlock/core";
import type { Connection, Reply } from "./connection.js";
import type { Connector, Opened } from "./connector.js";
import type { SessionTerms } from "./session.js";

/** At most `size` connections, reused while they are good. Whoever comes when all are taken waits in line. */
export class Pool {
  readonly #connector: Connector;
  readonly #size: number;
  readonly #terms: SessionTerms;
  readonly #idle: Opened[] = [];
  readonly #line = new Set<AbortController>();
  /** Opened or being opened. */
  #count = 0;

  constructor(connector: Connector, size: number, terms: SessionTerms = {}) {
    this.#connector = connector;
    this.#size = size;
    this.#terms = terms;
  }

  /** One autocommit statement. */
  run(sql: string, bindings: readonly unknown[], deadline: number, signal?: Signal): Promise<Reply> {
    return this.use(deadline, signal, ({ connection }) => connection.run(sql, bindings, deadline, signal));
  }

  /** Lends a connection, which has to come back as it was lent: without a transaction, lock or setting. */
  async use<Value>(
    deadline: number,
    signal: Signal | undefined,
    work: (opened: Opened) => Promise<Value>,
  ): Promise<Value> {
    const opened = await this.take(deadline, signal);
    try {
      return await work(opened);
    } finally {
      this.give(opened);
    }
  }

  /** To be given back. Rejects with an error of dlock that says `noEffect`. */
  async take(deadline: number, signal?: Signal): Promise<Opened> {
    for (;;) {
      if (signal?.aborted) throw unserved("the call was given up");
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#count < this.#size) return await this.#open(deadline);
      await this.#wait(deadline, signal);
    }
  }

  /** Whoever leaves something behind in the session destroys the connection first. */
  give(opened: Opened): void {
    if (opened.connection.lost.aborted) return;
    this.#idle.push(opened);
    this.#next();
  }

  async #open(deadline: number): Promise<Opened> {
    this.#count++;
    try {
      const opened = await this.#connector.open(deadline, this.#terms);
      const { connection } = opened;
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
    }
  }

  async #wait(deadline: number, signal?: Signal): Promise<void> {
    const turn = new AbortController();
    const left = deadline - monotonicNow();
    if (left <= 0) throw unserved(`all ${this.#size} connections were taken until the deadline`);
    const abort = () => turn.abort();
    signal?.addEventListener("abort", abort);
    this.#line.add(turn);
    await pause(left, { background: false, signal: turn.signal });
    this.#line.delete(turn);
    signal?.removeEventListener("abort", abort);
    // The turn may have been called when this one did not want it any more.
    if (signal?.aborted || monotonicNow() >= deadline) this.#next();
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
