import { expect, test } from "vitest";
import { isWhole, sumOf, tallyOf } from "../src/tally.js";
import { fault, stay, story, trial } from "./story.js";
import { tally } from "./tally.js";

test("rounds of one cell are added up, their worst times are kept", () => {
  const one = tally({ violations: { overlap: 2, told: 1 }, announced: 2, announcedBy: { overlap: 2 }, toldAfter: 400 });
  const other = tally({ violations: { overlap: 1 }, toldAfter: 300, recoveredAfter: 900 });
  const sum = sumOf([one, other]);
  expect(sum).toMatchObject({
    sections: 4_000,
    felt: 40,
    injected: 44,
    seconds: 60,
    toldAfter: 400,
    recoveredAfter: 900,
  });
  expect(sum).toMatchObject({ violations: { overlap: 3, told: 1 }, announced: 2, announcedBy: { overlap: 2 } });
});

test("only what the guarantees announce leaves a cell whole", () => {
  expect(isWhole(tally({ violations: { overlap: 2 }, announced: 2 }))).toBe(true);
  expect(isWhole(tally({ violations: { overlap: 2, stale: 1 }, announced: 2 }))).toBe(false);
});

test("a fault is felt by trouble and by a hold that ends before its time, not by one that ran out", () => {
  const felt = (...events: ReturnType<typeof story>) =>
    tallyOf(
      { trial: trial([...fault("link-cut", 100, 160), ...events]), violations: [] },
      { backend: "redis", fault: "link-cut", begun: 0 },
      [],
    ).felt;
  const hold = { hold: "a1", token: 1, from: 50, until: 150 };
  expect(felt(...stay({ ...hold, told: 151 }))).toBe(0);
  expect(felt(...stay({ ...hold, told: 140 }))).toBe(1);
  expect(felt(...story([110, "a", { op: "trouble", what: "no answer" }]))).toBe(1);
});
