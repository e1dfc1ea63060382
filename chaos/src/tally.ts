import { recoveries } from "./checkers/recovery.js";
import { staleWrites } from "./checkers/stale.js";
import type { Outcome } from "./campaign.js";
import type { Held } from "./hold.js";
import type { Incident } from "./incident.js";

/** By the name of a checker. */
type Counts = Readonly<Record<string, number>>;

/** One row of the report: what happened, in numbers. */
export interface Tally {
  readonly backend: string;
  readonly fault: string;
  /** ms since 1970: orders the rows. */
  readonly begun: number;
  /** From the first event to the last. */
  readonly seconds: number;
  readonly attempts: number;
  readonly sections: number;
  readonly injected: number;
  /** Those that took effect: each sees to that itself. */
  readonly felt: number;
  readonly losses: number;
  /** Attempts and releases whose outcome nobody knows. */
  readonly unknown: number;
  readonly violations: Counts;
  /** Of the violations, those that the guarantees announce. */
  readonly announced: number;
  readonly announcedBy: Counts;
  /** Writes that the register without tokens took from holders who were none any more. */
  readonly unfenced: number;
  /** Writes that the fenced register refused. */
  readonly refused: number;
  /** ms from the beginning of a fault to the signal of a hold that was lost to it, at worst. */
  readonly toldAfter: number;
  /** ms, at worst. */
  readonly recoveredAfter: number;
}

export interface About {
  readonly backend: string;
  readonly fault: string;
  readonly begun: number;
}

export function tallyOf({ trial, violations }: Outcome, about: About): Tally {
  const { events, holds, held, incidents } = trial;
  const struck = incidents.filter((incident) => incident.struck);
  const announced = violations.filter((violation) => violation.announced);
  return {
    ...about,
    seconds: ((events.at(-1)?.ts ?? 0) - (events[0]?.ts ?? 0)) / 1_000,
    attempts: holds.length,
    sections: held.length,
    injected: struck.length,
    felt: struck.filter(({ missed }) => !missed).length,
    losses: held.filter(({ told }) => told !== undefined).length,
    unknown: events.filter((event) => "phase" in event && event.phase === "info").length,
    violations: countByChecker(violations),
    announced: announced.length,
    announcedBy: countByChecker(announced),
    unfenced: staleWrites(trial, "unfenced").length,
    refused: events.filter((event) => event.op === "write" && event.phase === "fail" && event.register === "fenced")
      .length,
    toldAfter: worst(held.flatMap((hold) => toldAfter(struck, trial.ttl, hold))),
    recoveredAfter: worst(recoveries(trial).map(({ took }) => took)),
  };
}

/** No violation but those that the guarantees announce. */
export function isWhole({ violations, announced }: Tally): boolean {
  return Object.values(violations).reduce((sum, count) => sum + count, 0) === announced;
}

/** Several campaigns as one. */
export function sumOf(rounds: readonly Tally[]): Tally {
  return rounds.reduce((one, other) => ({
    ...one,
    seconds: one.seconds + other.seconds,
    attempts: one.attempts + other.attempts,
    sections: one.sections + other.sections,
    injected: one.injected + other.injected,
    felt: one.felt + other.felt,
    losses: one.losses + other.losses,
    unknown: one.unknown + other.unknown,
    violations: merged(one.violations, other.violations),
    announced: one.announced + other.announced,
    announcedBy: merged(one.announcedBy, other.announcedBy),
    unfenced: one.unfenced + other.unfenced,
    refused: one.refused + other.refused,
    toldAfter: Math.max(one.toldAfter, other.toldAfter),
    recoveredAfter: Math.max(one.recoveredAfter, other.recoveredAfter),
  }));
}

/** Of a hold that was there when a fault began, and was lost to it by all appearances. */
function toldAfter(struck: readonly Incident[], ttl: number, { granted, told }: Held): readonly number[] {
  if (told === undefined) return [];
  const cause = struck.findLast(({ begun, healed }) => begun >= granted && begun <= told && told <= healed + ttl);
  return cause ? [told - cause.begun] : [];
}

function worst(values: readonly number[]): number {
  return values.reduce((one, other) => Math.max(one, other), 0);
}

function merged(one: Counts, other: Counts): Counts {
  const sum: Record<string, number> = { ...one };
  for (const [checker, count] of Object.entries(other)) sum[checker] = (sum[checker] ?? 0) + count;
  return sum;
}

function countByChecker(violations: Outcome["violations"]): Counts {
  const count: Record<string, number> = {};
  for (const { checker } of violations) count[checker] = (count[checker] ?? 0) + 1;
  return count;
}
