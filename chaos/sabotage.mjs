// Deletes one line on which safety rests, on a copy of everything, runs there what is about it, a part of the short version or tests, and
// says which checker or test noticed.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { lines } from "./sabotage-lines.mjs";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const copy = mkdtempSync(join(tmpdir(), "dlock-sabotage-"));

/** What the checkers found that no guarantee announces, by checker. */
function byFaults({ backend, nemesis }) {
  const history = join(copy, "history");
  const args = ["--short", "--backend", backend, "--nemesis", nemesis, "--seed", values.seed, "--history", history];
  const { status, said } = run("chaos/dist/main.js", args);
  const tally = status === 1 ? result(join(history, backend, nemesis, "tally.json")) : {};
  const { violations = {}, announcedBy = {} } = tally;
  rmSync(history, { recursive: true, force: true });
  const counts = Object.entries(violations).map(([checker, count]) => [checker, count - (announcedBy[checker] ?? 0)]);
  const found = counts.flatMap(([checker, count]) => (count > 0 ? [`${checker} ${count}`] : [])).join(", ");
  return { what: `${backend} × ${nemesis}`, found, said };
}

/** Which tests failed. A file that cannot be run has none. */
function byTests({ test, title }) {
  const output = join(copy, "results.json");
  const args = ["run", test, "--testNamePattern", title, "--reporter", "json", "--outputFile.json", output];
  const { said } = run("node_modules/vitest/vitest.mjs", args);
  const { testResults = [] } = result(output);
  rmSync(output, { force: true });
  const failed = testResults.flatMap((file) => file.assertionResults).filter(({ status }) => status === "failed");
  const others = failed.length > 1 ? `, and ${failed.length - 1} more` : "";
  return { what: test, found: failed.length === 0 ? "" : `failed: ${failed[0].fullName}${others}`, said };
}

function run(program, args) {
  const options = { cwd: copy, encoding: "utf8" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(copy, program), ...args], options);
  return { status, said: `${stderr}${stdout}` };
}

/** What a run has left, if it came so far. */
function result(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}

/** Returns what makes the file whole again. */
function sabotage(path, edits) {
  const whole = readFileSync(path, "utf8");
  let broken = whole;
  for (const [line, instead] of edits) {
    if (broken.split(line).length !== 2) throw new Error(`${path} has not exactly one of: ${line}`);
    broken = broken.replace(line, () => instead);
  }
  writeFileSync(path, broken);
  return () => writeFileSync(path, whole);
}

let missed = 0;
try {
  const keep = (path) => !path.includes("/.git") && !path.includes("/.turbo");
  cpSync(root, copy, { recursive: true, verbatimSymlinks: true, filter: keep });
  for (const line of lines.filter(({ name }) => name.includes(values.only ?? ""))) {
    const repairs = [line.file].flat().map((file) => sabotage(join(copy, file), line.edits));
    const { what, found, said } = line.test === undefined ? byFaults(line) : byTests(line);
    for (const repair of repairs) repair();
    if (found === "") missed += 1;
    console.log(`${line.name} (${what}): ${found === "" ? `NOT NOTICED\n${said}` : found}`);
  }
} finally {
  rmSync(copy, { recursive: true });
}
process.exitCode = missed === 0 ? 0 : 1;
