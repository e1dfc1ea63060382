import { LockBackendError, monotonicNow, settleBy, type Signal } from "@dlock/core";
import { endsConnection, serverFailure } from "./server-failure.js";

export type Row = Readonly<Record<string, unknown>>;

export interface Reply {
  /** PostgreSQL: every value is text, as the server sent it. MySQL: large numbers are text. */
  readonly rows: readonly Row[];
  /** MySQL: the rows that matched, changed or not. */
  readonly affected: number;
  /** MySQL: LAST_INSERT_ID() as the statement set it. */
  readonly insertId?: bigint | undefined;
}

/** A driver's connection, as far as it is used here. */
export interface Wire {
  query(sql: string, bindings: readonly unknown[]): Promise<Reply>;
  /** Asks the server, on another connection, to end whatever this one does. Never rejects. */
  cancel(): Promise<void>;
  end(): Promise<void>;
  destroy(): void;
  /** Calls back once it has ended, for whatever reason. */
  onEnd(ended: (reason: unknown) => void): void;
  /** PostgreSQL: what LISTEN brings. */
  onNotification?(listener: (channel: string, payload: string) => void): void;
}

/**
 * One connection to the server, of our own; a statement at a time, in the order of the calls. A statement whose deadline
 * comes or that is aborted is cancelled at the server, and the connection destroyed with it: a cancellation that comes
 * late has nothing else to hit.
 */
export class Connection {
  readonly #wire: Wire;
  readonly #what: string;
  readonly #lost = new AbortController();
  #tail: Promise<void> = Promise.resolve();
  #busy = false;
  #gone: Promise<void> | undefined;
  #acknowledged = Number.NEGATIVE_INFINITY;
  #answered = Number.NEGATIVE_INFINITY;

  /** `what` names the server, for errors. */
  constructor(wire: Wire, what: string) {
    this.#wire = wire;
    this.#what = what;
    wire.onEnd((reason) => {
      this.#end(reason);
      // It may be the server's word only, over a link on which no end will follow.
      wire.destroy();
    });
  }

  /** Aborts when it has ended, also when it was closed. */
  get lost(): Signal {
    return this.#lost.signal;
  }

  /** Monotonic ms at which the last statement was sent that the server has answered. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** When that answer came. */
  get answered(): number {
    return this.#answered;
  }

  /** PostgreSQL: what LISTEN brings. */
  onNotification(listener: (channel: string, payload: string) => void): void {
    this.#wire.onNotification?.(listener);
  }

  /** Settles by `deadline` (monotonic ms). Rejects with an error of dlock. */
  async run(sql: string, bindings: readonly unknown[], deadline: number, signal?: Signal): Promise<Reply> {
    const before = this.#tail;
    let done = () => {};
    this.#tail = new Promise((resolve) => (done = resolve));
    try {
      const late = () => this.#unsent("the statement before it was not answered in time");
      await settleBy(() => before, deadline, late, { background: false });
      return await this.#run(sql, bindings, deadline, signal);
    } finally {
      // Who did not wait until the end of the one before must not make room for the next.
      void before.then(done);
    }
  }

  /** In good order, unless something runs on it. */
  async close(): Promise<void> {
    if (this.lost.aborted) return this.#gone;
    if (this.#busy) return this.destroy(new Error("it was closed"));
    this.#end(new Error("it was closed"));
    // A server that does not answer is not waited for.
    await settleBy(
      () => this.#wire.end(),
      monotonicNow() + 1_000,
      () => new Error("silent"),
      { background: true },
    ).catch(() => this.#wire.destroy());
  }

  /** Ends it at once, with whatever runs on it at the server. Resolves when the server was told. */
  destroy(reason: unknown = new Error("it was destroyed")): Promise<void> {
    if (this.lost.aborted) return this.#gone ?? Promise.resolve();
    // In this order: a pooler forgets whom to cancel as soon as the client is gone.
    this.#gone = this.#wire.cancel().finally(() => this.#wire.destroy());
    this.#end(reason);
    return this.#gone;
  }

  async #run(sql: string, bindings: readonly unknown[], deadline: number, signal?: Signal): Promise<Reply> {
    if (this.lost.aborted) throw this.#unsent("the connection had ended", this.lost.reason);
    if (signal?.aborted) throw this.#unsent("the call was given up");
    const sent = monotonicNow();
    if (sent >= deadline) throw this.#unsent("the statement came after its deadline");
    let stop = () => {};
    const answer = () =>
      new Promise<Reply>((resolve, reject) => {
        const abort = () => reject(this.#cutOff("was given up"));
        // Drivers forget what was under way when a connection is destroyed.
        const end = () => reject(this.lost.reason);
        signal?.addEventListener("abort", abort);
        this.lost.addEventListener("abort", end);
        stop = () => {
          signal?.removeEventListener("abort", abort);
          this.lost.removeEventListener("abort", end);
        };
        this.#wire.query(sql, bindings).then(resolve, reject);
      });
    this.#busy = true;
    try {
      const reply = await settleBy(answer, deadline, () => this.#cutOff("was not answered in time"), {
        background: false,
      });
      this.#acknowledged = sent;
      this.#answered = monotonicNow();
      return reply;
    } catch (error) {
      // Told as lost before anybody reads why.
      if (endsConnection(error)) void this.destroy(error);
      throw serverFailure(error, this.#what);
    } finally {
      this.#busy = false;
      stop();
    }
  }

  #cutOff(why: string): LockBackendError {
    const error = new LockBackendError(`${this.#what}: a statement ${why}`, { retryable: true });
    void this.destroy(error);
    return error;
  }

  #unsent(why: string, cause?: unknown): LockBackendError {
    return new LockBackendError(`${this.#what}: ${why}`, { retryable: true, noEffect: true, cause });
  }

  #end(reason: unknown): void {
    if (!this.lost.aborted) this.#lost.abort(reason);
  }
}
