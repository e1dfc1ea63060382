import {
  backoff,
  isRetryable,
  LockBackendError,
  LockTimeoutError,
  monotonicNow,
  pause,
  settleBy,
  type Signal,
} from "@dlock/core";

/** A wait for a lock in a transaction. */
export interface TransactionWait {
  readonly key: string;
  readonly table: string;
  readonly schema: string | undefined;
  readonly waitTimeout: number;
  /** Monotonic ms; for ever also where the only try takes as long as it takes. */
  readonly end: number;
  readonly signal: Signal | undefined;
}

/** ms that one try may take, and that a failing backend is ridden out, as core has it. */
const patience = 10_000;
const longestPause = 100;

/** Tries until it succeeds or the time is over. `turn` resolves when another try is worth it, and when its signal aborts. */
export async function contend(
  { key, waitTimeout, end, signal }: TransactionWait,
  attempt: (deadline: number) => Promise<boolean>,
  turn: (signal: Signal) => Promise<void>,
): Promise<void> {
  const isLate = () => monotonicNow() >= end;
  const over = new AbortController();
  let abort = () => {};
  const cancelled = new Promise<never>((_, reject) => {
    abort = () => {
      over.abort();
      reject(signal?.reason);
    };
  });
  cancelled.catch(() => {});
  signal?.addEventListener("abort", abort);
  if (Number.isFinite(end))
    void pause(end - monotonicNow(), { background: true, signal: over.signal }).then(() => over.abort());
  try {
    for (let failing: number | undefined; ;) {
      if (signal?.aborted) throw signal.reason;
      let since = monotonicNow();
      const deadline = Math.min(end, since + patience);
      const silent = () => new LockBackendError(`no answer about "${key}"`, { key, retryable: true });
      try {
        const answer = () => Promise.race([attempt(deadline), cancelled]);
        if (await settleBy(answer, deadline, silent, { background: false })) return;
        if (waitTimeout === 0 || isLate()) throw new LockTimeoutError(key, waitTimeout);
        failing = undefined;
        since = monotonicNow();
        await turn(over.signal);
      } catch (error) {
        if (!isRetryable(error) || waitTimeout === 0) throw error;
        if (isLate()) throw new LockTimeoutError(key, waitTimeout, error);
        failing ??= since;
        if (monotonicNow() - failing >= patience) throw error;
        await pause(backoff(3), { background: false, signal: over.signal });
      }
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    over.abort();
  }
}

/** Turns that come by themselves, ever later. */
export function poll(): (signal: Signal) => Promise<void> {
  let turns = 0;
  return (signal) => pause(backoff(turns++, longestPause), { background: false, signal });
}
