import { Fleet } from "./fleet.js";
import { move } from "./move.js";
import { examine } from "./section.js";
import { only } from "./stage.js";

const [old, young, count = "10000"] = process.argv.slice(2);
if (old === undefined || young === undefined) {
  console.error("usage: node dist/main.js <URL of the old backend> <URL of the new backend> [sections each way]");
  process.exit(2);
}
const backends = { old, new: young };
const size = 3;
const fleet = new Fleet(24);
for (let place = 0; place < size; place++) await fleet.add(only(backends, "old"));

let failed = false;
for (const [from, to] of [
  ["old", "new"],
  ["new", "old"],
] as const) {
  const before = fleet.sections.length;
  console.log(`\nfrom ${from} to ${to}`);
  const step = (processes: readonly string[]): void => {
    console.log(`  ${processes.map((name) => name.padEnd(5)).join("")} ${fleet.sections.length - before} sections`);
  };
  await move(fleet, { backends, from, to, size, sections: Number(count), step });
  const { overlaps, regressions } = examine(fleet.sections);
  console.log(`  ${overlaps} overlaps, ${regressions} smaller tokens`);
  failed ||= overlaps + regressions > 0;
}
await fleet.dismiss();
process.exitCode = failed ? 1 : 0;
