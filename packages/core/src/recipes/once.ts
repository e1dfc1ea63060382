import { checkDuration, checkFields, checkTtl } from "../check.js";
import { monotonicNow } from "../clock.js";
import { LockConfigError, LockLostError } from "../errors.js";
import type { Lock } from "../lock.js";
import type { Locks, Task } from "../locks.js";
import { pause } from "../settle.js";

/** Either of `every` and `ttl`. Times are ms. */
export interface OnceOptions {
  /** The time from one tick to the next: at most one process runs the task in it. */
  readonly every?: number | undefined;
  /** How long a process that died in the task keeps the others out; default: `every`. */
  readonly ttl?: number | undefined;
  /** How long the others are kept out, counted from the start, even when the task is over at once; default: `every` less a tenth, or less 5 000 where that is longer. */
  readonly atLeast?: number | undefined;
  readonly owner?: string | undefined;
}

/**
 * Runs the task unless another process does or just did: `undefined` then. Called at every tick by every process, it runs once a
 * tick, although clocks differ by less than what `atLeast` leaves of the tick. The lock is kept until then in the background, which
 * keeps the process alive; a task that failed ran all the same. Rejects as `tryWithLock` does.
 */
export async function once<Result>(
  locks: Locks,
  key: string,
  options: OnceOptions,
  task: Task<Result>,
): Promise<{ readonly result: Result } | undefined> {
  const { ttl, atLeast, owner } = checkOnce(options, key);
  if (typeof task !== "function") throw new LockConfigError("task", task, "a function", key);
  const until = monotonicNow() + atLeast;
  return new Promise((resolve, reject) => {
    const section = locks.tryWithLock(key, { ttl, owner }, async (lock) => {
      await run(lock, task).then(resolve, reject);
      await pause(until - monotonicNow(), { background: false, signal: lock.signal });
    });
    // What happens after the task has been told to nobody but the listeners of the locks.
    section.then((ran) => ran ?? resolve(undefined), reject);
  });
}

async function run<Result>(lock: Lock, task: Task<Result>): Promise<{ readonly result: Result }> {
  const result = await task(lock);
  try {
    lock.throwIfLost();
  } catch (cause) {
    throw new LockLostError(lock.key, "was lost before its task returned", { cause, result });
  }
  return { result };
}

function checkOnce(options: OnceOptions, key: string): { ttl: number; atLeast: number; owner: string | undefined } {
  checkFields("options", options, ["every", "ttl", "atLeast", "owner"]);
  const { every, ttl, owner } = options;
  if (every === undefined && ttl === undefined)
    throw new LockConfigError("every", every, "the ms between two ticks, or a ttl", key);
  if (every !== undefined) checkDuration("every", every, 20, key);
  const spare = every === undefined ? 0 : Math.max(every - 5_000, every * 0.9);
  const atLeast = checkDuration("atLeast", options.atLeast ?? spare, 0, key);
  if (every !== undefined && atLeast >= every) {
    throw new LockConfigError("atLeast", atLeast, `less than every (${every}): the next tick would be missed`, key);
  }
  return { ttl: checkTtl(ttl ?? Math.ceil(every as number), key), atLeast, owner };
}
