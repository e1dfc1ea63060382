/// <reference lib="esnext.disposable" preserve="true" />
import type { FencingToken, LockMode } from "./provider.js";
import type { Signal } from "./signal.js";

/** A hold. It ends once: given up by `release`, or lost. */
export interface Lock {
  /** The whole key, prefix included. */
  readonly key: string;
  /** Shared after `downgrade`. */
  readonly mode: LockMode;
  readonly fencingToken: FencingToken;
  /** ms a dead holder keeps the lock: what was asked for, or what the backend made of it. */
  readonly ttl: number;
  /** Aborts (reason: `LockLostError`) when the hold may have ended, and before anybody else can be granted the lock while this process runs. Never by `release`. */
  readonly signal: Signal;
  /** Throws `LockLostError` unless the hold is certain now and for `marginMs` more. Compares clocks at the call: exact also after a stalled event loop. */
  throwIfLost(marginMs?: number): void;
  /** Restarts the lease now, at `ttl` ms if given, which renewals then keep. Rejects with `LockLostError` when the hold is gone, `LockBackendError` when nobody knows. */
  extend(ttl?: number): Promise<void>;
  /**
   * Exclusive to shared in one step: nobody gets in between, and waiting readers may enter. Rejects with `LockConfigError` where the
   * backend cannot and while other sections share the hold, else from the call on count on it as shared: `LockBackendError` when nobody
   * knows, `LockLostError` when the hold is gone.
   */
  downgrade(): Promise<void>;
  /**
   * Gives the lock up as `release` does, but leaves it at the backend for `ms` more, counted from this call; 0 releases it. Nothing
   * renews it from here on, and neither the process nor `close` waits for its end. Resolves with true when the backend confirmed it;
   * with false when the hold was lost before, or nobody knows (an event tells): then the lease ends at the time that was asked for, or
   * a ttl after its last renewal. The first call of `release` and `expireIn` decides; a hold that several sections share is left when
   * the last of them gives it up, for the longest time that any of them asked for. Rejects with `LockConfigError`, and gives nothing up,
   * where a hold ends with its process (`alive` is not `"lease"`).
   */
  expireIn(ms: number): Promise<boolean>;
  /** Gives the lock up. Idempotent, never rejects. false: it was known to be lost before, or its end could not be confirmed (an event tells); true does not say that nobody else had it meanwhile. */
  release(): Promise<boolean>;
  /** The token as a string. */
  toJSON(): { readonly key: string; readonly fencingToken: string; readonly ttl: number };
  [Symbol.asyncDispose](): Promise<void>;
}
