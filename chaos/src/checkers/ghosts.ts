import type { Hold } from "../hold.js";
import { patience } from "../plan.js";
import { mayBeForgotten, type Trial, type Violation } from "../trial.js";

/** ms by which a look may be late. */
const slack = 200;

/** Holds that somebody from the side saw long after they were given up, refused, or left behind by a process that was killed. */
export function ghosts(trial: Trial): readonly Violation[] {
  const holds = new Map(trial.holds.map((hold) => [hold.id, hold]));
  const since = new Map<string, number>();
  const known = new Set<string>();
  return trial.events.flatMap((event) => {
    const hold = event.op === "seen" && !known.has(event.hold) ? holds.get(event.hold) : undefined;
    if (event.op !== "seen" || !hold || event.asked < endOf(hold)) return [];
    const first = since.get(hold.id) ?? event.asked;
    since.set(hold.id, first);
    if (event.asked < mayLast(trial, hold, first)) return [];
    known.add(hold.id);
    const what = `${hold.id} was seen to hold it ${(event.asked - endOf(hold)).toFixed(0)} ms after its end`;
    // A server that takes over may be behind, and then has the line of an earlier time.
    const announced = mayBeForgotten(trial, hold.invoked, event.ts);
    return [{ checker: "ghosts", key: event.key, at: event.ts, what, holds: [hold.id], announced }];
  });
}

/** For its process, or of it. */
function endOf({ refused, released, died }: Hold): number {
  return Math.min(...[refused, released, died].map((at) => at ?? Number.POSITIVE_INFINITY));
}

/** Up to when it may be seen, first seen at `first` after its end. */
function mayLast({ ttl, deadWaiter }: Trial, hold: Hold, first: number): number {
  // The line may come to a dead waiter late, and then waits for it a while.
  if (hold.waits !== undefined) return first + ttl + deadWaiter + slack;
  // A request counts up to its deadline (`backendTimeout`), and what it took then ends by its ttl, if nobody can undo it.
  return endOf(hold) + (1 + patience) * ttl + slack;
}
