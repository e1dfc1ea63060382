import type { Hold } from "../hold.js";
import { during } from "../incident.js";
import { type Stall, stallsOf } from "../stalls.js";
import type { Trial, Violation } from "../trial.js";

/** The part of a ttl for which processes and the server may have stood still, and its holder still have been in time. */
const pardoned = 1 / 10;

/** Losses of holds that were renewed, with nothing near that could cost a hold: whatever was asked was answered within the ttl, so the server had kept them. */
export function needless(trial: Trial): readonly Violation[] {
  const { guarantees, incidents, sparingHolds, recovery } = trial;
  // A session or a connection ends by the judgement of its server, too.
  if (guarantees.alive !== "lease") return [];
  const costly = incidents.filter(({ fault }) => !sparingHolds.includes(fault));
  const wasInTime = inTime(trial);
  return trial.holds.flatMap((hold) => {
    const { told, resolved, renews } = hold;
    if (!renews || told === undefined || resolved === undefined) return [];
    if (during(costly, hold.invoked, told, recovery) || !wasInTime(hold, told)) return [];
    return [violation(hold, told, resolved)];
  });
}

/** Whether nobody stood still for long before a loss: its holder, we with the links, and the server, which somebody asked meanwhile. */
function inTime(trial: Trial): (hold: Hold, told: number) => boolean {
  const { ttl, events } = trial;
  const stalls = stallsOf(trial);
  const looks = events.flatMap((event) => (event.op === "look" ? [{ from: event.asked, to: event.ts }] : []));
  return ({ proc }, told) => {
    const longest = (stood: readonly Stall[] = []): number =>
      Math.max(0, ...stood.filter(({ from, to }) => from <= told && to >= told - 2 * ttl).map(lengthOf));
    const asked = longest(looks);
    // A request and its answer are held up by each of them, and as a rule no more than once.
    return asked > 0 && longest(stalls.get(proc)) + longest(stalls.get("nemesis")) + asked <= ttl * pardoned;
  };
}

function lengthOf({ from, to }: Stall): number {
  return to - from;
}

function violation({ id, key, lossReason }: Hold, told: number, resolved: number): Violation {
  const when = `${(told - resolved).toFixed(0)} ms after its grant, with nothing near that could cost it`;
  const what = `${id} was told lost ${when}${lossReason === undefined ? "" : `: ${lossReason}`}`;
  return { checker: "needless", key, at: told, what, holds: [id], announced: false };
}
