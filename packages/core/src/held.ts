import { AsyncLocalStorage } from "node:async_hooks";
import type { HeldLock } from "./held-lock.js";
import type { Queue } from "./queue.js";

interface Frame {
  readonly lock: HeldLock;
  readonly outer: Frame | undefined;
}

const frames = new AsyncLocalStorage<Frame>();

/** Runs the task as the section of `lock`: what it calls can tell that it runs inside. */
export function runHolding<Result>(lock: HeldLock, task: () => Result): Result {
  let outer = frames.getStore();
  // A section that starts its successor must not keep all its predecessors.
  while (outer?.lock.ended) outer = outer.outer;
  return frames.run({ lock, outer }, task);
}

/** The hold of `key` that the calling async context runs inside of, if it still is one: a child that outlives the section holds nothing. */
export function heldAround(queue: Queue, key: string): HeldLock | undefined {
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.lock.queue === queue && frame.lock.key === key && !frame.lock.ended) return frame.lock;
  }
  return undefined;
}
