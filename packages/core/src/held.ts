import { AsyncLocalStorage } from "node:async_hooks";
import type { HeldLock } from "./held-lock.js";
import { Inside } from "./inside.js";
import type { Queue } from "./queue.js";

/** A section that runs, and the one it runs inside of. */
interface Frame {
  readonly lock: HeldLock;
  readonly inside: Inside;
  readonly outer: Frame | undefined;
}

const frames = new AsyncLocalStorage<Frame>();

/** Runs the task as the section of `lock`: what it calls can tell that it runs inside. */
export function runHolding<Result>(lock: HeldLock, task: () => Result): Result {
  let outer = frames.getStore();
  // A section that starts its successor must not keep all its predecessors.
  while (outer?.lock.ended) outer = outer.outer;
  return frames.run({ lock, inside: new Inside(lock.hold), outer }, task);
}

/** Inside of which section of `key` the calling async context runs, if it still holds: a child that outlives the section holds nothing. */
export function sectionAround(queue: Queue, key: string): Inside | undefined {
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    const { hold, ended } = frame.lock;
    if (hold.queue === queue && hold.key === key && !ended) return frame.inside;
  }
  return undefined;
}
