import { byKey, conflict, type Held } from "../hold.js";
import { type Stall, stallsOf } from "../stalls.js";
import { mayBeForgotten, type Trial, type Violation, wasCutOff } from "../trial.js";

/** ms by which two timers of one turn of the event loop may be apart, and a stall may be too short to be noticed. */
const turn = 10;

/** Losses that were told after the next holder was granted the lock, although the event loop of the loser ran. */
export function told(trial: Trial): readonly Violation[] {
  const stalls = stallsOf(trial);
  return byKey(trial.held).flatMap((held) => {
    let present: readonly Held[] = [];
    return held.flatMap((next) => {
      present = present.filter((hold) => over(hold) > next.granted);
      const unaware = present.filter((hold) => over(hold) > dueBy(stalls.get(hold.proc) ?? [], next.granted));
      present = [...present, next];
      return losersTo(next, unaware).map((loser) => late(trial, loser, next));
    });
  });
}

/** Who cannot have the lock beside `next`; where others may have it too, those whose time was over first. */
function losersTo(next: Held, present: readonly Held[]): readonly Held[] {
  if (next.limit === 1) return present.filter((hold) => conflict(hold, next));
  return present
    .toSorted((one, other) => one.certain - other.certain)
    .slice(0, Math.max(0, present.length - next.limit + 1));
}

/** When it was over for its holder: by being told, by its own doing, or by the end of its process. */
function over({ told, gaveUp, died }: Held): number {
  return Math.min(...[told, gaveUp, died].map((at) => at ?? Number.POSITIVE_INFINITY));
}

/** At once; after a stall that covers this moment, right after it, and likewise after the next one. */
function dueBy(stalls: readonly Stall[], granted: number): number {
  let due = granted;
  for (const { from, to } of stalls) if (from <= due && to >= due - turn) due = Math.max(due, to + turn);
  return due;
}

function late(trial: Trial, loser: Held, next: Held): Violation {
  const when = loser.told === undefined ? "never" : `${(loser.told - next.granted).toFixed(3)} ms after it`;
  return {
    checker: "told",
    key: next.key,
    at: next.granted,
    what: `${next.id} was granted the lock of ${loser.id}, who was told ${when}`,
    holds: [loser.id, next.id],
    announced: mayBeForgotten(trial, loser.invoked, next.granted) || wasCutOff(trial, loser, next.granted),
  };
}
