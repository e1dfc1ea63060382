import { checkDuration } from "./check.js";
import { monotonicNow } from "./clock.js";
import { LockConfigError, LockTimeoutError } from "./errors.js";
import type { Lock } from "./lock.js";
import { HeldLocks, type LockSet, releaseAll } from "./lock-set.js";
import type { AcquireOptions } from "./options.js";

type Acquire = (key: string, options: AcquireOptions) => Promise<Lock>;

/**
 * All or nothing, one after the other in the order of the keys, so that two calls never wait for each other. What it
 * holds is renewed meanwhile; when it loses one, it starts over.
 */
export async function acquireAll(keys: readonly string[], acquire: Acquire, options: AcquireOptions): Promise<LockSet> {
  const { waitTimeout = Number.POSITIVE_INFINITY } = options;
  const deadline = monotonicNow() + checkDuration("waitTimeout", waitTimeout, 0);
  const held: Lock[] = [];
  try {
    for (const sorted = inOrder(keys); held.length < sorted.length;) {
      const key = sorted[held.length] as string; // there is one: see the condition
      const left = waitTimeout === 0 ? 0 : Math.max(deadline - monotonicNow(), 1);
      held.push(await taken(key, { ...options, waitTimeout: left }));
      if (held.some(isLost)) await releaseAll(held.splice(0));
    }
    return new HeldLocks(held);
  } catch (error) {
    await releaseAll(held);
    throw error;
  }

  async function taken(key: string, rest: AcquireOptions): Promise<Lock> {
    try {
      return await acquire(key, rest);
    } catch (error) {
      // The time of the whole call, not what was left for this key.
      throw error instanceof LockTimeoutError
        ? new LockTimeoutError(error.key ?? key, waitTimeout, error.cause)
        : error;
    }
  }
}

/** Without those named twice. By code units: the same in every process, whatever its language. */
function inOrder(keys: unknown): readonly string[] {
  if (Array.isArray(keys) && keys.length > 0 && keys.every((key) => typeof key === "string")) {
    return [...new Set(keys as string[])].toSorted((one, other) => (one < other ? -1 : 1));
  }
  throw new LockConfigError("keys", keys, "an array of one key or more");
}

function isLost(lock: Lock): boolean {
  try {
    lock.throwIfLost();
    return false;
  } catch {
    return true;
  }
}
