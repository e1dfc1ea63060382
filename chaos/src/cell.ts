import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { faultsOn } from "./backends.js";
import { campaign, type Outcome } from "./campaign.js";
import type { DefectName } from "./defect.js";
import { type Least, shortOf } from "./doubts.js";
import type { Fault } from "./fault.js";
import { together } from "./faults/together.js";
import type { Ground } from "./ground.js";
import { folderFor, writeTally } from "./tallies.js";
import { sumOf, type Tally, tallyOf } from "./tally.js";

/** One fault, or several in turn, on one backend: a cell of the report. */
export interface Cell {
  /** Names with commas or `+`, `all` or `none`. */
  readonly nemesis: string;
  /** Of each campaign. */
  readonly seconds: number;
  /** The time is a limit: a campaign is over as soon as it has what the cell has to have. */
  readonly untilFull?: boolean;
}

/** Campaigns follow each other until the cell has what it has to have. */
export interface CellTerms extends Least {
  readonly seed: number;
  /** Where the histories go. */
  readonly folder: string;
  readonly defect?: DefectName | undefined;
  readonly say: (line: string) => void;
}

/** A cell that is not full by then never will be: what is short is said by its numbers. */
const most = 8;

/** Campaigns with one seed after the other, told and counted together. */
export async function runCell(ground: Ground, cell: Cell, terms: CellTerms): Promise<Tally> {
  const { nemesis, seconds } = cell;
  const faults = faultsOf(ground, nemesis);
  const rounds: Tally[] = [];
  const about = { backend: ground.name, fault: nemesis, begun: Date.now() };
  const place = folderFor(terms.folder, ground.name, nemesis);
  for (let round = 0; round < most; round++) {
    const seed = terms.seed + round;
    const folder = join(place, String(seed));
    const least = cell.untilFull ? missing(rounds, terms) : undefined;
    const outcome = await campaign({ ground, faults, seconds, least, seed, folder, defect: terms.defect });
    writeFileSync(join(folder, "violations.json"), JSON.stringify(outcome.violations, null, 1));
    for (const line of findingsOf(outcome, folder)) terms.say(line);
    rounds.push(tallyOf(outcome, about));
    if (shortOf([sumOf(rounds)], terms).length === 0) break;
  }
  const tally = sumOf(rounds);
  writeTally(place, tally);
  terms.say(lineOf(tally));
  return tally;
}

/** Some more: not every fault is felt. */
function missing(rounds: readonly Tally[], { sections, faults }: Least): Least {
  const had = { sections: 0, felt: 0, ...(rounds.length > 0 ? sumOf(rounds) : {}) };
  return { sections: sections - had.sections, faults: Math.ceil((faults - had.felt) * 1.1) };
}

/** Throws for a name that there is not. */
export function faultsOf(ground: Ground, nemesis: string): readonly Fault[] {
  const faults = faultsOn(ground);
  if (nemesis === "all") return faults;
  if (nemesis === "none") return [];
  const named = (name: string): Fault => {
    const fault = faults.find((one) => one.name === name);
    const known = faults.map((one) => one.name).join(", ");
    if (!fault)
      throw new Error(`--nemesis: there is no ${name} on ${ground.name}; there are ${known}, each, all, none`);
    return fault;
  };
  // `a+b`: at the same time.
  return nemesis.split(",").map((names) => names.split("+").map(named).reduce(together));
}

function findingsOf({ violations }: Outcome, folder: string): readonly string[] {
  const shown = violations.slice(0, 8);
  const lines = shown.map(
    ({ checker, key, what, announced }) => `  ${checker}${announced ? " (announced)" : ""} ${key}: ${what}`,
  );
  return violations.length > shown.length
    ? [...lines, `  and ${violations.length - shown.length} more: ${folder}`]
    : lines;
}

function lineOf(tally: Tally): string {
  const found = Object.entries(tally.violations).map(([checker, count]) => `${checker} ${count}`);
  return (
    `${tally.backend} × ${tally.fault}: ${tally.sections} sections of ${tally.attempts} attempts, ${tally.injected} faults (${tally.felt} felt), ` +
    `${tally.losses} losses, ${tally.unknown} unknown; unfenced ${tally.unfenced}, refused ${tally.refused}; ` +
    `told after ${tally.toldAfter.toFixed(0)} ms, recovered after ${tally.recoveredAfter.toFixed(0)} ms; ` +
    (found.length === 0 ? "no violation" : `VIOLATIONS ${found.join(", ")} (${tally.announced} announced)`)
  );
}
