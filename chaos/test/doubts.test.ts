import { expect, test } from "vitest";
import { type Evidence, checkerNames, doubtsAbout } from "../src/doubts.js";
import type { Tally } from "../src/tally.js";
import { tally } from "./tally.js";

const controls = checkerNames.map((name) => ({ defect: "one-token" as const, noticed: [name] }));

function doubts(rows: readonly Partial<Tally>[], more: Partial<Evidence> = {}): readonly string[] {
  return doubtsAbout({ tallies: rows.map(tally), controls, sections: 2_000, faults: 20, ...more });
}

test("a run whose checkers notice what is broken, and whose cells are full, is beyond doubt", () => {
  expect(
    doubts([
      { fault: "holder-paused", unfenced: 1 },
      { fault: "none", felt: 0 },
    ]),
  ).toEqual([]);
});

test("a checker that finds nothing in anything broken is blind, and a defect may go unnoticed", () => {
  const noticed = controls.map(({ defect, noticed: [name] }) => ({ defect, noticed: name === "told" ? [] : [name] }));
  expect(doubts([], { controls: noticed as Evidence["controls"] })).toEqual([
    "told finds nothing where something is broken on purpose",
    "one-token goes unnoticed",
  ]);
});

test("pauses that do the unfenced register no harm prove nothing", () => {
  expect(doubts([{ fault: "holder-paused", unfenced: 0 }])).toEqual([
    "redis: the unfenced register shows no harm when holders are paused",
  ]);
});

test("a cell that is not full is named", () => {
  expect(doubts([{ sections: 1_999 }, { felt: 19 }])).toEqual([
    "redis × link-cut: only 1999 sections",
    "redis × link-cut: only 19 faults were felt",
  ]);
});
