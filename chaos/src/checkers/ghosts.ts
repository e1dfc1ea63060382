import type { Hold } from "../hold.js";
import { patience } from "../plan.js";
import { mayBeForgotten, type Trial, type Violation } from "../trial.js";

/** ms by which a look may be late. */
const slack = 200;

/** Holds that somebody from the side saw long after they were given up, refused, or left behind by a process that was killed. */
export function ghosts(trial: Trial): readonly Violation[] {
  // There whoever drew the last token is shown for as long as anybody has the lock, also who has not drawn one yet.
  if (trial.guarantees.alive === "connection") return [];
  const holds = new Map(trial.holds.map((hold) => [hold.id, hold]));
  const since = new Map<string, number>();
  const known = new Set<string>();
  const troubled = new Map<string, number>();
  return trial.events.flatMap((event) => {
    if (event.op === "trouble") troubled.set(event.proc, event.ts);
    const hold = event.op === "seen" && !known.has(event.hold) ? holds.get(event.hold) : undefined;
    if (event.op !== "seen" || !hold || event.asked < endOf(hold)) return [];
    const first = since.get(hold.id) ?? event.asked;
    since.set(hold.id, first);
    if (event.asked < mayLast(trial, hold, first)) return [];
    // Who gives up what it cannot reach has to go on trying.
    if (event.asked < (troubled.get(hold.proc) ?? 0) + requestLasts(trial)) return [];
    if (event.asked < sessionsKept(trial, hold, event.asked) + requestLasts(trial)) return [];
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
function mayLast(trial: Trial, hold: Hold, first: number): number {
  const late = first > endOf(hold) + requestLasts(trial);
  // Whoever is in line, also by a request that it did not live to see answered, is granted late, and is waited for a while when it is dead.
  if (hold.waits !== undefined || !late) return first + trial.ttl + trial.deadWaiter + slack;
  return first;
}

/** The last moment before `asked` at which a session that the hold may live by did not age. */
function sessionsKept({ incidents, keepingSessions }: Trial, hold: Hold, asked: number): number {
  const kept = incidents.filter(
    ({ fault, begun, healed }) => keepingSessions.includes(fault) && begun < asked && healed > endOf(hold),
  );
  return Math.max(0, ...kept.map(({ healed }) => healed));
}

/** A request counts up to its deadline (`backendTimeout`), and what it took then ends by its ttl, if nobody can undo it. */
function requestLasts({ ttl }: Trial): number {
  return (1 + patience) * ttl + slack;
}
