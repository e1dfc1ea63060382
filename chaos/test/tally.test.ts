import { expect, test } from "vitest";
import { isWhole, sumOf, tallyOf } from "../src/tally.js";
import { fault, story, trial } from "./story.js";
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

test("a fault that hit nothing is injected, and not felt", () => {
  const about = { backend: "redis", fault: "link-cut", begun: 0 };
  const ended = story([160, "nemesis", { op: "fault", phase: "healed", id: 1, fault: "link-cut", missed: true }]);
  const missed = [...fault("link-cut", 100, 160).filter((event) => event.ts < 160), ...ended];
  const events = [...missed, ...fault("link-cut", 200, 260, 2)];
  expect(tallyOf({ trial: trial(events), violations: [] }, about)).toMatchObject({ injected: 2, felt: 1 });
});
