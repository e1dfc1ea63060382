import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { backends, faultsOn } from "./backends.js";
import { campaign, type Outcome } from "./campaign.js";
import { type DefectName, defectNames } from "./defect.js";
import type { Fault } from "./fault.js";
import type { Ground } from "./ground.js";
import { writeReport } from "./report.js";
import { type Tally, tallyOf } from "./tally.js";

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "redis" },
    // Names, with commas; `each`: a campaign for each of them; `all`: all of them in one.
    nemesis: { type: "string", default: "all" },
    seconds: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    workers: { type: "string", default: "4" },
    defect: { type: "string" },
    history: { type: "string", default: mkdtempSync(join(tmpdir(), "dlock-history-")) },
    report: { type: "string" },
  },
});

function choose(faults: readonly Fault[], names: string): readonly (readonly Fault[])[] {
  if (names === "each") return faults.map((fault) => [fault]);
  if (names === "all") return [faults];
  if (names === "none") return [[]];
  const known = faults.map(({ name }) => name).join(", ");
  const chosen = names.split(",").map((name) => {
    const fault = faults.find((one) => one.name === name);
    if (!fault) throw new Error(`--nemesis: there is no ${name} here; there are ${known}, each, all and none`);
    return fault;
  });
  return [chosen];
}

function tell(tally: Tally, { violations }: Outcome): void {
  const found = Object.entries(tally.violations).map(([checker, count]) => `${checker} ${count}`);
  console.log(
    `${tally.backend} × ${tally.fault}: ${tally.sections} sections of ${tally.attempts} attempts, ${tally.injected} faults (${tally.felt} felt), ` +
      `${tally.losses} losses, ${tally.unknown} unknown; unfenced ${tally.unfenced}, refused ${tally.refused}; ` +
      `told after ${tally.toldAfter.toFixed(0)} ms, recovered after ${tally.recoveredAfter.toFixed(0)} ms; ` +
      (found.length === 0 ? "no violation" : `VIOLATIONS ${found.join(", ")} (${tally.announced} announced)`),
  );
  for (const { checker, key, what, announced } of violations.slice(0, 8)) {
    console.log(`  ${checker}${announced ? " (announced)" : ""} ${key}: ${what}`);
  }
}

async function runOn(ground: Ground, seed: number): Promise<readonly Tally[]> {
  const tallies: Tally[] = [];
  for (const faults of choose(faultsOn(ground), values.nemesis)) {
    const fault =
      faults.length === faultsOn(ground).length ? "all" : faults.map(({ name }) => name).join(",") || "none";
    const folder = join(values.history, ground.name, fault);
    const seconds = Number(values.seconds);
    const outcome = await campaign({ ground, faults, seconds, seed, folder, defect: values.defect as DefectName });
    const tally = tallyOf(outcome, { backend: ground.name, fault, seed, seconds, slows: faults[0]?.slows });
    writeFileSync(join(folder, "violations.json"), JSON.stringify(outcome.violations, null, 1));
    tell(tally, outcome);
    tallies.push(tally);
  }
  return tallies;
}

async function main(): Promise<void> {
  const names = values.backend === "all" ? Object.keys(backends) : values.backend.split(",");
  if (values.defect !== undefined && !(defectNames as readonly string[]).includes(values.defect))
    throw new Error(`--defect: one of ${defectNames.join(", ")}`);
  console.log(`seed ${values.seed}, histories in ${values.history}`);
  const tallies: Tally[] = [];
  for (const name of names) {
    const open = backends[name];
    if (!open) throw new Error(`--backend: there is no ${name}; there are ${Object.keys(backends).join(", ")}`);
    const ground = await open(Number(values.workers));
    try {
      tallies.push(...(await runOn(ground, Number(values.seed))));
    } finally {
      await ground.stop();
    }
  }
  if (values.report !== undefined) writeReport(values.report, tallies);
  const unannounced = tallies.some(
    ({ violations, announced }) => Object.values(violations).reduce((sum, n) => sum + n, 0) > announced,
  );
  if (unannounced) process.exitCode = 1;
}

await main();
