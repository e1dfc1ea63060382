import { Alarm } from "../alarm.js";
import { checkDuration, checkSignal, checkText } from "../check.js";
import { monotonicNow } from "../clock.js";
import { LockConfigError, LockTimeoutError } from "../errors.js";
import type { Lock } from "../lock.js";
import type { Locks, Task } from "../locks.js";
import { onAbort } from "../on-abort.js";
import type { AcquireOptions } from "../options.js";

/** What a task of `withAnyStripe` returns to be run under another stripe instead. */
export const nextStripe: unique symbol = Symbol("the next stripe");

/** A section under one of the stripes, which is told which one, from 0. */
export type StripeTask<Result> = (lock: Lock, stripe: number) => Result | PromiseLike<Result>;

/** A hot lock in `stripes` parts, each of which guards a part of the resource: as in a striped map, contention is divided by their number. */
export interface Striped {
  readonly stripes: number;
  /** The stripe of a key, from 0: the same in every process. */
  stripeOf(key: string): number;
  /** The whole key of a stripe, without the prefix of the locks. */
  keyOf(stripe: number): string;
  /** A section under the stripe of the key. */
  withLock<Result>(key: string, task: Task<Result>): Promise<Result>;
  withLock<Result>(key: string, options: AcquireOptions | undefined, task: Task<Result>): Promise<Result>;
  /**
   * A section under any stripe: a free one if there is one, else the first that it gets in line for. A task that returns `nextStripe` spills
   * over: it is run under the others in turn, and `undefined` means that it wanted none of them. One `waitTimeout` for all.
   */
  withAnyStripe<Result>(task: StripeTask<Result>): Promise<Exclude<Result, typeof nextStripe> | undefined>;
  withAnyStripe<Result>(
    options: AcquireOptions | undefined,
    task: StripeTask<Result>,
  ): Promise<Exclude<Result, typeof nextStripe> | undefined>;
}

/** The stripes of the lock `name`. Everybody has to use the same number of them. Throws `LockConfigError`. */
export function striped(locks: Locks, name: string, stripes: number): Striped {
  checkText("name", name);
  if (!Number.isSafeInteger(stripes) || stripes < 1) {
    throw new LockConfigError("stripes", stripes, "a whole number from 1", name);
  }
  const keyOf = (stripe: number) => `${name}#${stripe}/${stripes}`;
  const stripeOf = (key: string) => hash(checkText("key", key)) % stripes;
  return {
    stripes,
    stripeOf,
    keyOf,
    withLock: (async (key: string, ...rest: [AcquireOptions | undefined, Task<unknown>]) =>
      locks.withLock(keyOf(stripeOf(key)), ...rest)) as Striped["withLock"],
    withAnyStripe: (async (...rest: [StripeTask<unknown>] | [AcquireOptions | undefined, StripeTask<unknown>]) => {
      const [options, task] = rest.length === 1 ? [undefined, rest[0]] : rest;
      if (typeof task !== "function") throw new LockConfigError("task", task, "a function", name);
      const keys = Array.from({ length: stripes }, (_, stripe) => keyOf(stripe));
      return withDeadline(name, options ?? {}, (terms) => anyStripe(locks, keys, terms, task));
    }) as Striped["withAnyStripe"],
  };
}

/** The work with a signal in place of `waitTimeout`: one end for all waits, whatever the backend does. */
async function withDeadline<Result>(
  name: string,
  { waitTimeout, signal, ...terms }: AcquireOptions,
  work: (terms: AcquireOptions) => Promise<Result>,
): Promise<Result> {
  if (waitTimeout === undefined || checkDuration("waitTimeout", waitTimeout, 0, name) === 0)
    return work({ ...terms, waitTimeout, signal });
  checkSignal(signal, name);
  const over = new AbortController();
  const alarm = new Alarm(() => over.abort(new LockTimeoutError(name, waitTimeout)), { background: false });
  alarm.set(monotonicNow() + waitTimeout);
  const stop = signal && onAbort(signal, () => over.abort(signal.reason));
  try {
    return await work({ ...terms, waitTimeout: Number.POSITIVE_INFINITY, signal: over.signal });
  } finally {
    alarm.clear();
    stop?.();
  }
}

async function anyStripe(
  locks: Locks,
  keys: readonly string[],
  options: AcquireOptions,
  task: StripeTask<unknown>,
): Promise<unknown> {
  const { waitTimeout: _, ...once } = options;
  // From a random one on: everybody's first choice would be the bottleneck that the stripes are to avoid.
  const start = Math.floor(Math.random() * keys.length);
  const order = keys.map((_key, index) => (start + index) % keys.length);
  const busy: number[] = [];
  for (const stripe of order) {
    const done = await locks.tryWithLock(keys[stripe] as string, once, (lock) => task(lock, stripe));
    if (done === undefined) busy.push(stripe);
    else if (done.result !== nextStripe) return done.result;
  }
  for (const stripe of busy) {
    const result = await locks.withLock(keys[stripe] as string, options, (lock) => task(lock, stripe));
    if (result !== nextStripe) return result;
  }
  return undefined;
}

/** FNV-1a, 32 bits, over code units. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  return sum >>> 0;
}
