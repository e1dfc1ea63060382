import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { backends, faultsOn } from "./backends.js";
import { type Cell, faultsOf, runCell } from "./cell.js";
import { runControls } from "./controls.js";
import { type DefectName, defectNames } from "./defect.js";
import { doubtsAbout, type Least, shortOf } from "./doubts.js";
import type { Ground } from "./ground.js";
import { inLanes } from "./lanes.js";
import { isWhole } from "./tally.js";
import { hasTally, readTallies } from "./tallies.js";
import { writeReport } from "./report.js";
import { leastInShort, shortCells } from "./short.js";

const { values } = parseArgs({
  options: {
    // Names, with commas; `all`.
    backend: { type: "string" },
    // Names, with commas: in turn; `a+b`: at the same time; `all`: all of them in one campaign; `each`: one after the other, and a time without any.
    nemesis: { type: "string" },
    // Of one campaign; default: some 15 faults, or until a cell has what it has to have.
    seconds: { type: "string" },
    // What a cell has to have at least; else it goes on, with the next seed.
    sections: { type: "string" },
    faults: { type: "string" },
    seed: { type: "string" },
    workers: { type: "string", default: "4" },
    lanes: { type: "string", default: "1" },
    short: { type: "boolean", default: false },
    defect: { type: "string" },
    history: { type: "string" },
    report: { type: "string" },
  },
});

const seed = Number(values.seed ?? Date.now() % 1_000_000);
const least: Least = values.short
  ? leastInShort
  : { sections: Number(values.sections ?? 0), faults: Number(values.faults ?? 0) };
const history = values.history ?? mkdtempSync(join(tmpdir(), "dlock-history-"));

function cellsOn(ground: Ground): readonly Cell[] {
  const untilFull = values.seconds === undefined && least.sections + least.faults > 0;
  const seconds = Number(values.seconds ?? ((untilFull ? 150 : 50) * (ground.pace ?? ground.ttl)) / 1_000);
  const { nemesis = "all" } = values;
  if (values.short) {
    const cells = shortCells[ground.name] ?? [];
    return values.nemesis === undefined ? cells : cells.filter((cell) => cell.nemesis === nemesis);
  }
  if (nemesis !== "each") return [{ nemesis, seconds, untilFull }];
  return ["none", ...faultsOn(ground).map(({ name }) => name)].map((name) => ({
    nemesis: name,
    seconds,
    untilFull,
  }));
}

async function runOn(name: string): Promise<void> {
  const open = backends[name];
  if (!open) throw new Error(`--backend: there is no ${name}; there are ${Object.keys(backends).join(", ")}`);
  const ground = await open(Number(values.workers));
  const terms = {
    seed,
    ...least,
    folder: history,
    say: (line: string) => console.log(line),
    defect: values.defect as DefectName | undefined,
  };
  try {
    const cells = cellsOn(ground);
    for (const { nemesis } of cells) faultsOf(ground, nemesis);
    for (const cell of cells) if (!hasTally(history, name, cell.nemesis)) await runCell(ground, cell, terms);
  } finally {
    await ground.stop();
  }
}

function chosen(): readonly string[] {
  if (values.backend !== undefined && values.backend !== "all") return values.backend.split(",");
  return Object.keys(values.short ? shortCells : backends);
}

async function main(): Promise<void> {
  if (values.defect !== undefined && !(defectNames as readonly string[]).includes(values.defect))
    throw new Error(`--defect: one of ${defectNames.join(", ")}`);
  const names = chosen();
  const [only = ""] = names;
  // A lane of a run that has several, which counts.
  const isLane = process.send !== undefined;
  if (isLane) {
    // Nobody reads what comes of it any more.
    const orphaned = (): void => process.exit(1);
    process.on("disconnect", orphaned);
    await runOn(only);
    // As long as somebody listens for it, the channel keeps the process alive.
    process.off("disconnect", orphaned).disconnect?.();
    return;
  }
  console.log(`seed ${seed}, histories in ${history}`);
  const controls = values.report === undefined ? [] : await runControls(history, seed);
  const args = [...process.argv.slice(2), "--seed", String(seed), "--history", history];
  const broken = names.length > 1 ? await inLanes(names, Number(values.lanes), args) : [];
  if (names.length === 1) await runOn(only);
  const tallies = readTallies(history);
  const doubts = [...broken.map((name) => `${name}: came to no result`), ...shortOf(tallies, least)];
  if (values.report !== undefined) {
    doubts.push(...doubtsAbout(tallies, controls));
    writeReport(values.report, { ...least, tallies, controls, seed });
  }
  for (const doubt of doubts) console.log(doubt);
  const passed = tallies.filter(isWhole).length;
  const failed = tallies.length - passed + doubts.length;
  console.log(`${passed} passed, ${failed} failed`);
  if (failed === 0 && values.history === undefined) rmSync(history, { recursive: true });
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
