import { byKey, claimedUntil, conflict, type Held } from "../hold.js";
import { mayBeForgotten, type Trial, type Violation, wasCutOff } from "../trial.js";

/** Who claims a lock at the same moment as somebody else who may not have it beside them. */
export function overlap(trial: Trial): readonly Violation[] {
  return byKey(trial.held).flatMap((held) => overlaps(trial, held));
}

function overlaps(trial: Trial, held: readonly Held[]): readonly Violation[] {
  const found: Violation[] = [];
  let present: Held[] = [];
  for (const hold of held) {
    const at = hold.granted;
    present = present.filter((other) => claimedUntil(other) > at);
    if (claimedUntil(hold) <= at) continue;
    const crowd = present.filter((other) => conflict(hold, other));
    if (hold.limit > 1 && present.length >= hold.limit) crowd.push(...present);
    if (crowd.length > 0) {
      const others = crowd.map((other) => `${other.id} up to ${claimedUntil(other).toFixed(3)}`);
      found.push({
        checker: "overlap",
        key: hold.key,
        at,
        what: `${hold.id} holds from ${at.toFixed(3)} on, and so does ${others.join(", ")}`,
        holds: [hold.id, ...crowd.map(({ id }) => id)],
        announced:
          mayBeForgotten(trial, Math.min(...crowd.map(({ invoked }) => invoked)), at) ||
          crowd.every((other) => wasCutOff(trial, other, at)),
      });
    }
    present.push(hold);
  }
  return found;
}
