import { checkDuration, checkTtl } from "./check.js";
import { monotonicNow } from "./clock.js";
import type { Contender, Grant } from "./contender.js";
import { asLockError, type LockLostError } from "./errors.js";
import type { AboutHold, LockEvents } from "./events.js";
import type { Lock } from "./lock.js";
import type { FencingToken } from "./provider.js";
import type { Queue } from "./queue.js";
import type { Signal } from "./signal.js";
import { Tenure } from "./tenure.js";
import { about, type Want } from "./want.js";

/** One hold, from the grant to its end, with what it reports. */
export class HeldLock implements Lock {
  readonly key: string;
  readonly owner: string;
  readonly fencingToken: FencingToken;
  readonly queue: Queue;
  /** Resolves when it has ended, either way. */
  readonly over: Promise<void>;
  readonly #want: Want;
  readonly #contender: Contender;
  readonly #since: number;
  readonly #tenure: Tenure;
  #end: () => void = () => {};
  #released: Promise<boolean> | undefined;

  constructor(queue: Queue, want: Want, contender: Contender, grant: Grant) {
    this.queue = queue;
    this.key = want.key;
    this.owner = want.owner;
    this.fencingToken = grant.token;
    this.#want = want;
    this.#contender = contender;
    this.#since = grant.asked.at;
    this.over = new Promise((resolve) => (this.#end = resolve));
    this.#tenure = new Tenure(contender.claim, grant.asked, want, {
      renewed: (took) => this.#emit("renewed", { took }),
      renewFailed: (error, remaining) => this.#emit("renewFailed", { error, remaining }),
      lost: (reason) => this.#lost(reason),
    });
  }

  get ttl(): number {
    return this.#tenure.ttl;
  }

  get signal(): Signal {
    return this.#tenure.signal;
  }

  /** ms since it was asked for. */
  get heldFor(): number {
    return monotonicNow() - this.#since;
  }

  /** Given up, or known to be lost. */
  get ended(): boolean {
    return this.#tenure.ended;
  }

  loss(): LockLostError | undefined {
    return this.#tenure.loss();
  }

  throwIfLost(marginMs = 0): void {
    this.#tenure.throwIfLost(checkDuration("marginMs", marginMs, 0, this.key));
  }

  async extend(ttl?: number): Promise<void> {
    await this.#tenure.extend(ttl === undefined ? undefined : checkTtl(ttl, this.key));
  }

  release(): Promise<boolean> {
    return (this.#released ??= this.#release());
  }

  /** Ends it as lost, because the locks were closed. */
  cutOff(): void {
    this.#tenure.lose("was ended by close()");
  }

  toJSON(): { readonly key: string; readonly fencingToken: string; readonly ttl: number } {
    return { key: this.key, fencingToken: String(this.fencingToken), ttl: this.ttl };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  async #release(): Promise<boolean> {
    if (this.loss() !== undefined) return false;
    const { deadline } = this.#tenure;
    this.#tenure.giveUp();
    const until = Math.min(deadline, monotonicNow() + this.#want.backendTimeout);
    const { confirmed, undone } = this.#contender.retire(until, { background: false });
    this.queue.finish(undone);
    const error = await confirmed;
    this.#end();
    const { heldFor } = this;
    if (error === undefined) this.#emit("released", { heldFor });
    else this.#emit("releaseFailed", { heldFor, error: asLockError(error, this.key) });
    return error === undefined;
  }

  #emit<Name extends "renewed" | "renewFailed" | "lost" | "released" | "releaseFailed">(
    name: Name,
    more: Omit<LockEvents[Name], keyof AboutHold>,
  ): void {
    const { fencingToken } = this;
    this.queue.emitter.emit(name, { ...about(this.#want), fencingToken, ...more } as LockEvents[Name]);
  }

  #lost(reason: LockLostError): void {
    this.#end();
    this.#emit("lost", { heldFor: this.heldFor, reason });
    // Harmless to whoever holds it now, and nothing of a hold that only may have ended is left behind.
    this.queue.retire(this.#contender, this.#want.backendTimeout);
  }
}
