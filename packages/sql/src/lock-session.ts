import { LockBackendError, monotonicNow, settleBy, type Signal } from "@dlock/core";
import type { Connection, Reply } from "./connection.js";
import type { Connector, Opened } from "./connector.js";

const heartbeat = "SELECT 1";
const longestRest = 10_000;
/** ms a blocking wait lasts before it is begun anew: until then nobody would notice that the link is dead. */
export const waitSlice = 5_000;

/**
 * A connection that locks live by. The server ends it when it was idle for `idle` ms, so that its locks go when this
 * process stands still or is out of reach; a heartbeat every third of that keeps it. By this process's clock it is
 * certain for a bit less, counted from before the last statement was sent that was answered.
 */
export class LockSession {
  readonly idle: number;
  readonly #connector: Connector;
  readonly #ready: Promise<Opened>;
  /** By the id of the lock: what to call when it is lost. */
  readonly #locks = new Map<string, (reason: unknown) => void>();
  #opened: Opened | undefined;
  #over = false;
  #beating: Promise<unknown> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether somebody needs it alone: waits on it, or has a transaction open in it. */
  exclusive = false;

  constructor(opened: Promise<Opened>, idle: number, connector: Connector, ended: () => void) {
    this.#ready = opened;
    this.idle = idle;
    this.#connector = connector;
    opened.then(
      ({ connection, ...rest }) => {
        this.#opened = { connection, ...rest };
        onEnd(connection, () => {
          this.#end(connection.lost.reason);
          // The server has one connection more until it was told.
          void connection.destroy().then(ended);
        });
        this.#schedule();
      },
      (error: unknown) => {
        this.#end(error);
        ended();
      },
    );
  }

  /** Whether it is gone, or so long unused that it may be at any moment. */
  get stale(): boolean {
    return this.#over || (this.#opened !== undefined && this.certainUntil - monotonicNow() < this.idle / 2);
  }

  get empty(): boolean {
    return this.#locks.size === 0;
  }

  /** Monotonic ms up to which the server certainly keeps it and its locks. */
  get certainUntil(): number {
    const sent = this.#opened?.connection.acknowledged ?? Number.NEGATIVE_INFINITY;
    return this.#over ? Number.NEGATIVE_INFINITY : sent + this.idle - (this.idle / 100 + 2);
  }

  carries(id: string): boolean {
    return this.#locks.has(id);
  }

  /** Keeps a place for a lock; `lost` is called when the session ends before it was left. */
  enter(id: string, lost: (reason: unknown) => void = () => {}): void {
    this.#locks.set(id, lost);
    this.#schedule();
  }

  leave(id: string): void {
    this.#locks.delete(id);
    if (this.empty) clearTimeout(this.#timer);
  }

  /** Nobody needs it now. It is closed before the server would end it, which is an error in its log. */
  rest(): void {
    this.exclusive = false;
    clearTimeout(this.#timer);
    if (this.#over) return;
    this.#timer = setTimeout(() => this.empty && !this.exclusive && this.close(), Math.min(this.idle / 3, longestRest));
    this.#timer.unref();
  }

  opened(deadline: number): Promise<Opened> {
    const late = () => new LockBackendError("no connection was open in time", { retryable: true, noEffect: true });
    return settleBy(() => this.#ready, deadline, late, { background: false });
  }

  /** A statement. Where other locks live by this session it is not cut off at the deadline: they would go with it. */
  async run(sql: string, bindings: readonly unknown[], deadline: number, signal?: Signal): Promise<Reply> {
    const { connection } = await this.#awake(await this.opened(deadline));
    if (this.#locks.size > 1) return connection.run(sql, bindings, Math.max(deadline, monotonicNow() + this.idle));
    return connection.run(sql, bindings, deadline, signal);
  }

  /** One at a time. Not cut off while its answer could still mean something. */
  beat(): Promise<unknown> {
    this.#beating ??= this.#ready
      .then((opened) => this.#awake(opened))
      .then(({ connection }) => connection.run(heartbeat, [], monotonicNow() + this.idle))
      .finally(() => {
        this.#beating = undefined;
        this.#schedule();
      });
    return this.#beating;
  }

  /** After so long without a statement the server has ended it: this process was stopped. Nothing is sent that it would have to refuse. */
  async #awake(opened: Opened): Promise<Opened> {
    const { connection } = opened;
    if (monotonicNow() < connection.answered + this.idle) return opened;
    await connection.destroy();
    throw new LockBackendError("the session was idle for too long", { retryable: true, noEffect: true });
  }

  /** Whether anything can have been done on it. */
  get used(): boolean {
    return this.#opened !== undefined;
  }

  /** Nobody uses it any more; its locks end with it. */
  destroy(): void {
    this.#end(new Error("it was given up"));
    this.#ready.then(({ connection }) => connection.destroy()).catch(() => {});
  }

  /** Resolves when the server says that it is over, with all its locks. */
  async confirmEnd(): Promise<void> {
    this.destroy();
    if (this.#opened !== undefined) await this.#connector.end(this.#opened.name);
  }

  /** Nothing lives by it. */
  close(): void {
    this.#end(new Error("it was closed"));
    this.#ready.then(({ connection }) => connection.close()).catch(() => {});
  }

  #end(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    for (const tell of this.#locks.values()) tell(reason);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.empty || this.#over || this.#opened === undefined) return;
    const next = this.#opened.connection.acknowledged + this.idle / 3 - monotonicNow();
    // Whoever needs to know how it went asks for one.
    const beat = () => void this.beat().catch(() => {});
    this.#timer = setTimeout(beat, Math.min(Math.max(next, 1), 2 ** 31 - 1));
    this.#timer.unref();
  }
}

function onEnd({ lost }: Connection, ended: () => void): void {
  if (lost.aborted) ended();
  else lost.addEventListener("abort", ended);
}
