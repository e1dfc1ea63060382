import { expect, test } from "vitest";
import { checkerNames, doubtsAbout, shortOf } from "../src/doubts.js";
import { tally } from "./tally.js";

const controls = checkerNames.map((name) => ({ defect: "one-token" as const, noticed: [name] }));
const least = { sections: 2_000, faults: 20 };

test("a run whose checkers notice what is broken, and whose pauses do harm, is beyond doubt", () => {
  const tallies = [tally({ fault: "holder-paused", unfenced: 1 }), tally({ fault: "none", unfenced: 0 })];
  expect(doubtsAbout(tallies, controls)).toEqual([]);
});

test("a checker that finds nothing in anything broken is blind, and a defect may go unnoticed", () => {
  const some = controls.map(({ defect, noticed }) => ({ defect, noticed: noticed.filter((name) => name !== "told") }));
  expect(doubtsAbout([], some)).toEqual([
    "told finds nothing where something is broken on purpose",
    "one-token goes unnoticed",
  ]);
});

test("pauses that do the unfenced register no harm prove nothing", () => {
  expect(doubtsAbout([tally({ fault: "holder-paused", unfenced: 0 })], controls)).toEqual([
    "redis: the unfenced register shows no harm when holders are paused",
  ]);
});

test("a cell that is not full is named", () => {
  expect(shortOf([tally({}), tally({ fault: "none", felt: 0 })], least)).toEqual([]);
  expect(shortOf([tally({ sections: 1_999 }), tally({ felt: 19 })], least)).toEqual([
    "redis × link-cut: only 1999 sections",
    "redis × link-cut: only 19 faults were felt",
  ]);
});
