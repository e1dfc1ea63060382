import { byKey, conflict, type Hold } from "../hold.js";
import { during } from "../incident.js";
import type { Trial, Violation } from "../trial.js";

/** Who waits in order is overtaken by nobody who came after it was in line, unless a fault may have cost it its place. */
export function fairness(trial: Trial): readonly Violation[] {
  if (trial.guarantees.order !== "fifo") return [];
  const calm = trial.holds.filter(
    (hold) => hold.alone && !during(trial.incidents, hold.invoked, endOf(hold), trial.recovery),
  );
  return byKey(calm).flatMap((holds) => holds.flatMap((waiter) => overtaken(waiter, holds)));
}

function overtaken(waiter: Hold, holds: readonly Hold[]): readonly Violation[] {
  const { id, key, waits } = waiter;
  if (waits === undefined) return [];
  const past = holds.filter(
    (hold) => hold.invoked > waits && Number(hold.granted) < endOf(waiter) && conflict(hold, waiter),
  );
  const [first] = past;
  if (!first) return [];
  const what = `${id}, in line since ${waits.toFixed(3)}, was overtaken by ${past.map((hold) => hold.id).join(", ")}`;
  return [{ checker: "fairness", key, at: Number(first.granted), what, holds: [id, first.id], announced: false }];
}

function endOf({ resolved, refused, outOfPatience }: Hold): number {
  return resolved ?? Math.min(refused ?? Number.POSITIVE_INFINITY, outOfPatience);
}
