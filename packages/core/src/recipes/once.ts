import { checkDuration, checkEnd, checkFields, checkOneOf, checkTtl } from "../check.js";
import { monotonicNow } from "../clock.js";
import { LockConfigError } from "../errors.js";
import type { Lock } from "../lock.js";
import type { Locks, Task } from "../locks.js";
import { pause } from "../settle.js";
import type { Signal } from "../signal.js";

/** Either of `every` and `ttl`. Times are ms. */
export interface OnceOptions {
  /** The time from one tick to the next: at most one process runs the task in it. */
  readonly every?: number | undefined;
  /** How long the others are kept out, counted from the start, whatever becomes of the task and its process; default: `every` less a tenth, or less 5 000 where that is longer; 0 without `every`. */
  readonly atLeast?: number | undefined;
  /** How long a process that died in the task keeps the others out where `atLeast` is over before that; default 30 000, or `every` where that is shorter. */
  readonly ttl?: number | undefined;
  /** After this long the lock of a task that still runs is not renewed any more: the others need not wait for one that hangs. Default: for ever. */
  readonly maxHold?: number | undefined;
  /** true: a task that throws ends the tick for nobody, who comes next tries again. Default false: it ran all the same. */
  readonly retryFailed?: boolean | undefined;
  /** Human label for inspection; default `host:pid`. */
  readonly owner?: string | undefined;
}

/**
 * Runs the task unless another process does or just did: `undefined` then. Called at every tick by every process, it runs once a
 * tick, although clocks differ by less than what `atLeast` leaves of the tick. When the task is over, the lock is left at the backend
 * for what is left of `atLeast` (`Lock.expireIn`): neither this process nor `close` has to wait for that. Rejects as `tryWithLock`
 * does, and with `LockConfigError`, before the task runs, for a key whose backend ends a hold with its process.
 */
export async function once<Result>(
  locks: Locks,
  key: string,
  options: OnceOptions,
  task: Task<Result>,
): Promise<{ readonly result: Result } | undefined> {
  const { ttl, atLeast, maxHold, retryFailed, owner } = checkOnce(options, key);
  if (typeof task !== "function") throw new LockConfigError("task", task, "a function", key);
  const start = monotonicNow();
  const until = start + atLeast;
  const terms = { ttl: Math.max(ttl, Math.ceil(atLeast)), maxHold, owner, alive: "lease" } as const;
  return locks.tryWithLock(key, terms, async (lock) => {
    const over = new AbortController();
    void keepUntil(Math.min(until - ttl, start + maxHold), until, ttl, lock, over.signal);
    let failed = true;
    try {
      const result = await task(lock);
      failed = false;
      return result;
    } finally {
      over.abort();
      if (!failed || !retryFailed) await lock.expireIn(Math.max(0, until - monotonicNow()));
    }
  });
}

/** While renewals as they are would keep the lock beyond the tick: it lasts until `until`, and `ttl` from each renewal. Never rejects. */
async function keepUntil(last: number, until: number, ttl: number, lock: Lock, over: Signal): Promise<void> {
  while (monotonicNow() < last) {
    await pause(ttl / 3, { background: true, signal: over });
    if (over.aborted) return;
    // What fails is tried again: the lease lasts, and its end is told by the lock itself.
    await lock.extend(Math.max(ttl, Math.ceil(until - monotonicNow()))).catch(() => {});
  }
}

interface Terms {
  readonly ttl: number;
  readonly atLeast: number;
  readonly maxHold: number;
  readonly retryFailed: boolean;
  readonly owner: string | undefined;
}

function checkOnce(options: OnceOptions, key: string): Terms {
  checkFields("options", options, ["every", "ttl", "atLeast", "maxHold", "retryFailed", "owner"]);
  const { every, maxHold = Number.POSITIVE_INFINITY, retryFailed = false, owner } = options;
  if (every === undefined && options.ttl === undefined)
    throw new LockConfigError("every", every, "the ms between two ticks, or a ttl", key);
  if (every !== undefined) checkDuration("every", every, 20, key);
  const spare = every === undefined ? 0 : Math.max(every - 5_000, every * 0.9);
  const atLeast = checkEnd("atLeast", options.atLeast ?? spare, key);
  if (every !== undefined && atLeast >= every) {
    throw new LockConfigError("atLeast", atLeast, `less than every (${every}): the next tick would be missed`, key);
  }
  const { ttl = Math.min(30_000, Math.ceil(every ?? 0)) } = options;
  return {
    ttl: checkTtl(ttl, key),
    atLeast,
    maxHold: checkDuration("maxHold", maxHold, 1, key),
    retryFailed: checkOneOf("retryFailed", retryFailed, [true, false], key),
    owner,
  };
}
