import type { Guarantees } from "./guarantees.js";
import type { LockListeners } from "./events.js";
import type { LockMode } from "./provider.js";
import type { Signal } from "./signal.js";

/** How to try for a lock once. Times are ms. */
export interface TryOptions {
  /** How long a dead holder keeps the lock; default 30 000. A living one renews every ttl/3. */
  readonly ttl?: number | undefined;
  /** false: the hold ends at `ttl`, on every backend; `extend` moves that end. */
  readonly autoRenew?: boolean | undefined;
  /** After this long renewal stops, so that a hung task loses the lock. */
  readonly maxHold?: number | undefined;
  /** A backend that stays silent or failing this long ends the call with `LockBackendError`; default 10 000. */
  readonly backendTimeout?: number | undefined;
  /** Cancels the wait, only the wait, at once, with its own reason. */
  readonly signal?: Signal | undefined;
  readonly mode?: LockMode | undefined;
  /** Semaphore: up to `limit` holders. */
  readonly limit?: number | undefined;
  /** true: inside a `withLock` of the same key, in the same async context, share its hold; parallel calls inside it queue among themselves. */
  readonly reentrant?: boolean | undefined;
  /** Human label for inspection; default `host:pid`. */
  readonly owner?: string | undefined;
  /** `"lease"`: refuse, before anything is sent, a key whose backend ends the hold with its session or connection; needed for `lock.expireIn`. Default: any. */
  readonly alive?: "lease" | undefined;
}

/** How to wait for a lock. */
export interface AcquireOptions extends TryOptions {
  /** 0: one try, as long as its round trip takes. n > 0: a strict deadline in ms that includes the first try. Default: for ever. */
  readonly waitTimeout?: number | undefined;
}

/** What `createLocks` takes beside the backend; ttl, waitTimeout, backendTimeout and owner are defaults for every call. */
export interface LocksOptions {
  readonly ttl?: number | undefined;
  readonly waitTimeout?: number | undefined;
  readonly backendTimeout?: number | undefined;
  readonly owner?: string | undefined;
  /** Put in front of every key. */
  readonly prefix?: string | undefined;
  /** Guarantees the backend must give (an accepted value or several; modes: a superset), else `LockConfigError`. */
  readonly require?: Requirements | undefined;
  /** Listeners that hear everything from the start, also what happens at connect. */
  readonly on?: LockListeners | undefined;
  /** Reach the backend before `createLocks` returns; default: at the first call that needs it. */
  readonly connect?: boolean | undefined;
}

export type Requirements = {
  readonly [Entry in keyof Guarantees]?: Entry extends "modes"
    ? Guarantees["modes"] | Guarantees["modes"][number] | undefined
    : Guarantees[Entry] | readonly Guarantees[Entry][] | undefined;
};

export interface CloseOptions {
  /** ms that running sections get before their signals abort; default 0. */
  readonly grace?: number | undefined;
}
