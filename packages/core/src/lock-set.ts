/// <reference lib="esnext.disposable" preserve="true" />
import { onAbort } from "./on-abort.js";
import type { Lock } from "./lock.js";
import type { Signal } from "./signal.js";

/** Several locks, held and given up together. */
export interface LockSet {
  /** In the order of their keys. */
  readonly locks: readonly Lock[];
  /** Aborts with the first of them that may have ended (reason: its `LockLostError`). */
  readonly signal: Signal;
  /** As `Lock.throwIfLost`, of all. */
  throwIfLost(marginMs?: number): void;
  /** Gives all up. Idempotent, never rejects. false: at least one was lost before, or its end could not be confirmed. */
  release(): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
}

export class HeldLocks implements LockSet {
  readonly locks: readonly Lock[];
  readonly #lost = new AbortController();
  readonly #stops: readonly (() => void)[];
  #released: Promise<boolean> | undefined;

  constructor(locks: readonly Lock[]) {
    this.locks = locks;
    this.#stops = locks.map(({ signal }) => onAbort(signal, () => this.#lost.abort(signal.reason)));
  }

  get signal(): Signal {
    return this.#lost.signal;
  }

  throwIfLost(marginMs?: number): void {
    for (const lock of this.locks) lock.throwIfLost(marginMs);
  }

  release(): Promise<boolean> {
    return (this.#released ??= this.#release());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  async #release(): Promise<boolean> {
    for (const stop of this.#stops) stop();
    return (await releaseAll(this.locks)).every(Boolean);
  }
}

/** The last one first, so that nobody who takes them in order is woken for a lock whose successors are still held. */
export function releaseAll(locks: readonly Lock[]): Promise<readonly boolean[]> {
  return Promise.all(locks.toReversed().map((lock) => lock.release()));
}
