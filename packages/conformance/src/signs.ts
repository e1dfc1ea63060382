import assert from "node:assert/strict";
import type { Locks, Signal } from "@dlock/core";
import { now } from "./time.js";

/** The moment at which a signal aborts. */
export function aborted(signal: Signal): Promise<number> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(now());
    signal.addEventListener("abort", () => resolve(now()), { once: true });
  });
}

/** Until a call of these locks was told that the lock is not free. */
export function contended(locks: Locks): Promise<void> {
  return new Promise((resolve) => {
    const off = locks.on("contended", () => {
      off();
      resolve();
    });
  });
}

/** Notes that the event loop turns: what happened while it stood still, this process could not know. */
export class TurnWatch {
  readonly #turns: number[] = [];
  readonly #timer: ReturnType<typeof setInterval> = setInterval(() => this.#turns.push(now()), 3);

  constructor() {
    // A law that fails before the watch ends must not keep the process alive.
    this.#timer.unref();
  }

  /** Whether the loop was turning between two moments. Ends the watch. */
  turned(from: number, to: number): boolean {
    clearInterval(this.#timer);
    return this.#turns.filter((turn) => from < turn && turn < to).length > 2;
  }
}

/** Before anybody else is granted the lock, whenever this process was running. */
export function assertToldFirst(toldAt: number, grantedAt: number, turns: TurnWatch): void {
  const late = Math.round(toldAt - grantedAt);
  assert.equal(
    turns.turned(grantedAt, toldAt),
    false,
    `the next holder was granted the lock ${late} ms before the loss was told`,
  );
}
