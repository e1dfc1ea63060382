import { checkDuration, checkEnd, checkTtl } from "./check.js";
import { monotonicNow } from "./clock.js";
import { LockLostError } from "./errors.js";
import type { Hold } from "./hold.js";
import type { Lock } from "./lock.js";
import type { FencingToken, LockMode } from "./provider.js";
import type { Signal } from "./signal.js";

/** A caller's share in a hold, as a rule the only one. */
export class HeldLock implements Lock {
  readonly hold: Hold;
  readonly #left: () => void;
  #released: Promise<boolean> | undefined;

  /** `left` is called when it is given up. */
  constructor(hold: Hold, left: () => void = () => {}) {
    this.hold = hold;
    this.#left = left;
    hold.enter();
  }

  get key(): string {
    return this.hold.key;
  }

  get mode(): LockMode {
    return this.hold.mode;
  }

  get fencingToken(): FencingToken {
    return this.hold.fencingToken;
  }

  get ttl(): number {
    return this.hold.ttl;
  }

  get signal(): Signal {
    return this.hold.signal;
  }

  /** Given up, or known to be lost. */
  get ended(): boolean {
    return this.#released !== undefined || this.hold.ended;
  }

  loss(): LockLostError | undefined {
    return this.hold.loss();
  }

  throwIfLost(marginMs = 0): void {
    this.#checkKept();
    this.hold.throwIfLost(checkDuration("marginMs", marginMs, 0, this.key));
  }

  async extend(ttl?: number): Promise<void> {
    this.#checkKept();
    await this.hold.extend(ttl === undefined ? undefined : checkTtl(ttl, this.key));
  }

  async downgrade(): Promise<void> {
    this.#checkKept();
    await this.hold.downgrade();
  }

  async expireIn(ms: number): Promise<boolean> {
    const end = monotonicNow() + checkEnd("ms", ms, this.key);
    this.hold.checkAlive("lease");
    return (this.#released ??= this.#release(end));
  }

  release(): Promise<boolean> {
    return (this.#released ??= this.#release());
  }

  toJSON(): { readonly key: string; readonly fencingToken: string; readonly ttl: number } {
    return { key: this.key, fencingToken: String(this.fencingToken), ttl: this.ttl };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #release(end?: number): Promise<boolean> {
    // Who waits to use the same hold takes it over before it could end.
    this.#left();
    return this.hold.leave(end);
  }

  /** Others may keep the hold that this one has given up. */
  #checkKept(): void {
    if (this.#released !== undefined && this.loss() === undefined) throw new LockLostError(this.key, "was given up");
  }
}
