import type { Control } from "./controls.js";
import type { Tally } from "./tally.js";

export const checkerNames = [
  "overlap",
  "tokens",
  "stale",
  "told",
  "recovery",
  "fairness",
  "ghosts",
  "residue",
  "endings",
] as const;

export interface Evidence {
  readonly tallies: readonly Tally[];
  readonly controls: readonly Control[];
  /** What every cell was to have. */
  readonly sections: number;
  readonly faults: number;
}

/** Why a run counts for less than it says, or for nothing: checkers and faults that show no effect prove nothing. */
export function doubtsAbout({ tallies, controls, sections, faults }: Evidence): readonly string[] {
  const blind = checkerNames.filter((name) => !controls.some(({ noticed }) => noticed.includes(name)));
  const paused = tallies.filter(({ fault }) => fault === "holder-paused");
  return [
    ...blind.map((name) => `${name} finds nothing where something is broken on purpose`),
    ...controls.filter(({ noticed }) => noticed.length === 0).map(({ defect }) => `${defect} goes unnoticed`),
    ...paused
      .filter(({ unfenced }) => unfenced === 0)
      .map(({ backend }) => `${backend}: the unfenced register shows no harm when holders are paused`),
    ...tallies
      .filter((tally) => tally.sections < sections)
      .map((tally) => `${tally.backend} × ${tally.fault}: only ${tally.sections} sections`),
    ...tallies
      .filter(({ felt, fault }) => fault !== "none" && felt < faults)
      .map(({ backend, fault, felt }) => `${backend} × ${fault}: only ${felt} faults were felt`),
  ];
}
