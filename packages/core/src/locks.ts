/// <reference lib="esnext.disposable" preserve="true" />
import type { LockEventName, LockListener } from "./events.js";
import type { Guarantees } from "./guarantees.js";
import type { Lock } from "./lock.js";
import type { LockSet } from "./lock-set.js";
import type { AcquireOptions, CloseOptions, TryOptions } from "./options.js";
import type { LockStatus } from "./provider.js";

export type Task<Result> = (lock: Lock) => Result | PromiseLike<Result>;

/** The locks of one backend, whichever it is. Every method rejects with `LockConfigError` on bad input and `LockClosedError` after `close`. */
export interface Locks {
  readonly guarantees: Guarantees;
  /**
   * Runs the task while holding the lock. The task's own error always wins; a task that returned although the hold was
   * lost rejects with `LockLostError` (its `result` set); trouble while releasing is an event.
   */
  withLock<Result>(key: string, task: Task<Result>): Promise<Result>;
  withLock<Result>(key: string, options: AcquireOptions | undefined, task: Task<Result>): Promise<Result>;
  /** As `withLock`, without waiting; `undefined` when the lock is not free. */
  tryWithLock<Result>(key: string, task: Task<Result>): Promise<{ readonly result: Result } | undefined>;
  tryWithLock<Result>(
    key: string,
    options: TryOptions | undefined,
    task: Task<Result>,
  ): Promise<{ readonly result: Result } | undefined>;
  /** Waits for the lock; rejects with `LockTimeoutError`, the reason of `signal`, `LockBackendError` or `LockReentryError`. Never leaves a late grant behind. */
  acquire(key: string, options?: AcquireOptions): Promise<Lock>;
  /** One try, never waits, never leaves a place in line; `undefined` when the lock is not free. */
  tryAcquire(key: string, options?: TryOptions): Promise<Lock | undefined>;
  /**
   * All of the keys or none, in one order for everybody (sorted, without duplicates) and under one `waitTimeout`; what it holds is renewed
   * while it waits for the rest. Rejects as `acquire` does; the error's `key` is the one that was not free.
   */
  acquireAll(keys: readonly string[], options?: AcquireOptions): Promise<LockSet>;
  /** The same locks under `prefix`; shares queue, connections and listeners. Its `close` does nothing. */
  prefixed(prefix: string): Locks;
  inspect(key: string): Promise<LockStatus>;
  /** Returns the unsubscribe. A listener that throws is reported as a process warning and harms nobody. */
  on<Name extends LockEventName>(name: Name, listener: LockListener<Name>): () => void;
  /** Refuses new calls, ends waiters with `LockClosedError`, gives running sections `grace` ms, aborts what remains and releases it. */
  close(options?: CloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
