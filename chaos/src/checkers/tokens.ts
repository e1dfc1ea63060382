import { byKey, conflict, type Held } from "../hold.js";
import { mayBeForgotten, type Trial, type Violation } from "../trial.js";

/** Tokens that do not grow from one holder to the next; readers and permits among themselves are not ordered. */
export function tokens(trial: Trial): readonly Violation[] {
  return byKey(trial.held).flatMap((held) => {
    let [highest, writer]: (Held | undefined)[] = [];
    const known = new Map<bigint, Held>();
    return held.flatMap((hold) => {
      const before = conflict(hold, hold) ? highest : writer;
      const twin = known.get(hold.token);
      const found: Violation[] = [];
      if (before && before.token >= hold.token) found.push(violation(trial, before, hold));
      // Also who is not ordered is not one and the same.
      else if (twin) found.push(violation(trial, twin, hold));
      known.set(hold.token, hold);
      if (!highest || hold.token > highest.token) highest = hold;
      if (conflict(hold, hold) && (!writer || hold.token > writer.token)) writer = hold;
      return found;
    });
  });
}

function violation(trial: Trial, before: Held, hold: Held): Violation {
  // It was there first, was forgotten, and came to look only when the next one held.
  const late = hold.token < before.token && hold.invoked < before.granted;
  return {
    checker: "tokens",
    key: hold.key,
    at: hold.granted,
    what: `${hold.id} has token ${hold.token} after ${before.id} had ${before.token}`,
    holds: [before.id, hold.id],
    announced:
      trial.guarantees.fencing === "best-effort" ||
      (late && mayBeForgotten(trial, hold.invoked, hold.granted)) ||
      lostWithClock(trial, before, hold),
  };
}

/** The one case in which a token may come again: the data were lost in between, and the clock was moved. */
function lostWithClock({ guarantees, incidents, losingTokens, movingClock }: Trial, before: Held, hold: Held): boolean {
  return (
    guarantees.fencing === "unless-data-and-clock-lost" &&
    incidents.some(
      ({ fault, begun, healed }) => losingTokens.includes(fault) && begun <= hold.granted && healed >= before.granted,
    ) &&
    incidents.some(({ fault, begun }) => movingClock.includes(fault) && begun <= hold.granted)
  );
}
