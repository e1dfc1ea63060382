import type { Control } from "./controls.js";
import type { Tally } from "./tally.js";

export const checkerNames = [
  "overlap",
  "tokens",
  "stale",
  "told",
  "needless",
  "recovery",
  "afterwards",
  "fairness",
  "ghosts",
  "residue",
  "endings",
] as const;

/** What every cell has to have. */
export interface Least {
  readonly sections: number;
  readonly faults: number;
}

/** Cells that have too little to prove anything. */
export function shortOf(tallies: readonly Tally[], { sections, faults }: Least): readonly string[] {
  return [
    ...tallies
      .filter((tally) => tally.sections < sections)
      .map((tally) => `${tally.backend} × ${tally.fault}: only ${tally.sections} sections`),
    ...tallies
      .filter(({ felt, fault }) => fault !== "none" && felt < faults)
      .map(({ backend, fault, felt }) => `${backend} × ${fault}: only ${felt} faults were felt`),
  ];
}

/** Why a run counts for nothing: checkers and faults that show no effect prove nothing. */
export function doubtsAbout(tallies: readonly Tally[], controls: readonly Control[]): readonly string[] {
  const blind = checkerNames.filter((name) => !controls.some(({ noticed }) => noticed.includes(name)));
  const harmless = tallies.filter(({ fault, unfenced }) => fault === "holder-paused" && unfenced === 0);
  return [
    ...blind.map((name) => `${name} finds nothing where something is broken on purpose`),
    ...controls.filter(({ noticed }) => noticed.length === 0).map(({ defect }) => `${defect} goes unnoticed`),
    ...harmless.map(({ backend }) => `${backend}: the unfenced register shows no harm when holders are paused`),
  ];
}
