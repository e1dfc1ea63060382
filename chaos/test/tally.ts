import type { Tally } from "../src/tally.js";

/** A cell that is full and without any violation, but for what is said. */
export function tally(what: Partial<Tally>): Tally {
  return {
    backend: "redis",
    fault: "link-cut",
    begun: 0,
    seconds: 30,
    attempts: 3_000,
    sections: 2_000,
    injected: 22,
    felt: 20,
    losses: 3,
    unknown: 4,
    violations: {},
    announced: 0,
    announcedBy: {},
    unfenced: 5,
    refused: 6,
    toldAfter: 400,
    recoveredAfter: 500,
    ...what,
  };
}
