import { monotonicNow } from "./clock.js";
import { asLockError, LockBackendError } from "./errors.js";
import { settleBy } from "./settle.js";

/** One question to the backend that takes nothing: rejects with errors of dlock only, after `timeout` ms at the latest. */
export async function ask<Answer>(call: () => Promise<Answer>, timeout: number, key?: string): Promise<Answer> {
  const silent = () =>
    new LockBackendError(`the backend did not answer within ${timeout} ms`, { key, retryable: true });
  try {
    return await settleBy(call, monotonicNow() + timeout, silent, { background: false });
  } catch (error) {
    throw asLockError(error, key);
  }
}
