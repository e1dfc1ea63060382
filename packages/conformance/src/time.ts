import assert from "node:assert/strict";

/** Monotonic ms, the clock of deadlines in the contract. */
export function now(): number {
  return performance.now();
}

/** To outlast something; never to hope that something has happened. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

/** Keeps the event loop from turning. */
export function stall(ms: number): void {
  const end = now() + ms;
  while (now() < end);
}

/** The promise's outcome, or an assertion error when it takes longer than `ms`. */
export async function within<Value>(ms: number, promise: PromiseLike<Value>, what: string): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `${what}: not within ${Math.round(ms)} ms` })),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise whose rejection is looked at later, or never if the law fails before. */
export function later<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {});
  return promise;
}

/** Waits for a condition, asking every few ms. */
export async function until(condition: () => boolean | Promise<boolean>, ms: number, what: string): Promise<void> {
  const end = now() + ms;
  while (!(await condition())) {
    assert.ok(now() < end, `${what}: not within ${Math.round(ms)} ms`);
    await sleep(5);
  }
}
