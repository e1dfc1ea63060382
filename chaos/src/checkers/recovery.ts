import { byKey, type Hold } from "../hold.js";
import type { Incident } from "../incident.js";
import type { Trial, Violation } from "../trial.js";

export interface Recovery {
  readonly key: string;
  readonly incident: Incident;
  /** ms from the end of the fault to the first grant to somebody who waited then, or as long as somebody tried. */
  readonly took: number;
}

/** How long after each fault every key that was waited for could be had. */
export function recoveries({ holds, incidents }: Trial): readonly Recovery[] {
  const ended = incidents.filter(({ struck, healed }) => struck && Number.isFinite(healed));
  return byKey(holds).flatMap((ofKey) => {
    const granted = ofKey
      .flatMap(({ granted: at }) => (at === undefined ? [] : [at]))
      .toSorted((one, other) => one - other);
    const last = ofKey.reduce((latest, hold) => Math.max(latest, triedUntil(hold)), 0);
    return ended.flatMap((incident) => {
      if (!ofKey.some((hold) => pendingAt(hold, incident.healed))) return [];
      const first = granted.find((at) => at > incident.healed) ?? last;
      return [{ key: String(ofKey[0]?.key), incident, took: first - incident.healed }];
    });
  });
}

/** Keys that could not be had within the bound after a fault, if the next one left so much time: the nemesis does again and again. */
export function recovery(trial: Trial): readonly Violation[] {
  return recoveries(trial)
    .filter(({ took, incident }) => Math.min(took, calmAfter(trial, incident)) > trial.recovery)
    .map(({ key, incident, took }) => ({
      checker: "recovery",
      key,
      at: incident.healed,
      what: `${took.toFixed(0)} ms passed after ${incident.fault} until it was granted again`,
      holds: [],
      announced: false,
    }));
}

/** ms until the next fault that struck: what finds nothing to strike leaves everything as it is. */
function calmAfter({ incidents }: Trial, { id, healed }: Incident): number {
  const next = incidents.find((other) => other.id > id && other.struck);
  return next === undefined ? Number.POSITIVE_INFINITY : next.begun - healed;
}

function triedUntil({ resolved, refused, died, invoked }: Hold): number {
  return resolved ?? refused ?? died ?? invoked;
}

function pendingAt(hold: Hold, at: number): boolean {
  return hold.invoked < at && (hold.resolved ?? hold.refused ?? Number.POSITIVE_INFINITY) > at + 200;
}
