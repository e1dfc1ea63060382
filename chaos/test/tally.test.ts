import { expect, test } from "vitest";
import { isWhole, sumOf } from "../src/tally.js";
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
