import { Alarm } from "./alarm.js";
import { monotonicNow } from "./clock.js";
import { onAbort } from "./on-abort.js";
import type { Signal } from "./signal.js";

export interface Waiting {
  /** Does not keep the process alive. */
  readonly background: boolean;
}

/** The call's outcome, or the rejection `late()` at the monotonic time `deadline`. A call that throws rejects. */
export function settleBy<Value>(
  call: () => Promise<Value>,
  deadline: number,
  late: () => Error,
  options: Waiting,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const alarm = new Alarm(() => reject(late()), options);
    alarm.set(deadline);
    const settled =
      <Arg>(settle: (arg: Arg) => void) =>
      (arg: Arg) => {
        alarm.clear();
        settle(arg);
      };
    invoke(call).then(settled(resolve), settled(reject));
  });
}

/** Calls, and turns what it throws into a rejection. */
export async function invoke<Value>(call: () => Promise<Value>): Promise<Value> {
  return call();
}

/** The promise's outcome, or at once `undefined` when the signal aborts. */
export function unlessAborted<Value>(promise: Promise<Value>, signal: Signal): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => resolve(undefined));
    promise.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error);
      },
    );
  });
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, options: Waiting & { readonly signal?: Signal | undefined }): Promise<void> {
  const { signal } = options;
  return new Promise((resolve) => {
    let stop = () => {};
    const finish = () => {
      alarm.clear();
      stop();
      resolve();
    };
    const alarm = new Alarm(finish, options);
    alarm.set(monotonicNow() + ms);
    if (signal) stop = onAbort(signal, finish);
  });
}

/** Waits for all of them, `ms` at most. */
export async function within(ms: number, all: readonly Promise<unknown>[]): Promise<void> {
  if (all.length === 0 || ms === 0) return;
  const done = new AbortController();
  void Promise.allSettled(all).then(() => done.abort());
  await pause(ms, { background: false, signal: done.signal });
}
