// Deletes one line on which safety rests, on a copy of everything, runs the part of the short version that is about it there, and says
// which checker noticed.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const lines = [
  {
    name: "owner check in release",
    file: "packages/redis/dist/scripts/release.js",
    edits: [["local held = fenceOf(value, owner)", "local held = value"]],
    backend: "redis",
    nemesis: "holder-paused",
  },
  {
    name: "deadline counted from before the request",
    file: "packages/core/dist/contender.js",
    edits: [["{ token, asked, doubtfulUntil", "{ token, asked: new Moment(), doubtfulUntil"]],
    backend: "redis",
    nemesis: "replies-frozen,holder-paused",
  },
  {
    name: "renewal counted from before the request",
    file: "packages/core/dist/validity.js",
    edits: [
      [
        "this.#end = Math.max(this.#end, this.#open.get(restart) ?? this.#end);",
        "this.#end = leaseEnd(new Moment().at, restart.ttl);",
      ],
    ],
    backend: "redis",
    nemesis: "late-then-frozen",
  },
  {
    name: "re-check after a wake-up",
    file: "packages/zookeeper/dist/contest.js",
    edits: [
      [
        "const obstacle = obstacleTo(this.#request, before);",
        "const obstacle = this.woken ? undefined : obstacleTo(this.#request, before);",
      ],
      [
        "this.#watched = undefined;\n        this.turn.now();",
        "this.#watched = undefined;\n        this.woken = true;\n        this.turn.now();",
      ],
    ],
    backend: "zookeeper",
    nemesis: "waiter-killed",
  },
  {
    name: "deadline inside of the script",
    file: "packages/redis/dist/scripts/try.js",
    edits: [["if now > tonumber(ARGV[3]) then return {now} end", ""]],
    backend: "redis",
    nemesis: "killed-unheard",
  },
  {
    name: "order of czxids",
    file: "packages/zookeeper/dist/zookeeper-claim.js",
    edits: [["const token = czxid +", "const token = 0n * czxid +"]],
    backend: "zookeeper",
    nemesis: "none",
  },
  {
    name: "heartbeat through the leader",
    file: "packages/zookeeper/dist/session.js",
    // What a read says, which any server answers by itself.
    edits: [
      ["if (operation.throughLeader)", "if (true)"],
      [
        "new Keepers((paths) =>",
        "new Keepers(async (paths) => Promise.all(paths.map(async (path) => (await this.exists(path)) ? 0 : -101)), (paths) =>",
      ],
    ],
    backend: "zookeeper",
    nemesis: "follower-cut-off",
  },
  {
    name: "refusal to select a database",
    file: "packages/redis/dist/greeting.js",
    edits: [["        refuse(database, error);", ""]],
    backend: "redis",
    nemesis: "select-denied",
  },
  {
    name: "schema in front of each table",
    file: "packages/sql/dist/in-schema.js",
    edits: [['(schema === undefined ? "" : `${schema}.`)', '""']],
    backend: "postgres-search-path",
    nemesis: "search-path-set",
  },
  {
    name: "no table by the name of a role",
    file: "packages/sql/dist/search-path.js",
    // With a second look that finds the table of another role, which would refuse to go on.
    edits: [
      [
        "path.filter((name) => name !== userEntry &&",
        "path.map((name) => (name === userEntry ? roles[0] : name)).filter((name) =>",
      ],
      ["if (having.length > 0)", "if (false)"],
    ],
    backend: "postgres-roles",
    nemesis: "none",
  },
  {
    name: "no local time",
    file: "packages/sql/dist/session.js",
    edits: [['export const utc = "+00:00";', 'export const utc = "SYSTEM";']],
    backend: "mariadb",
    nemesis: "summer-time-ends,summer-time-begins",
  },
  {
    name: "what a late answer proves",
    file: "packages/core/dist/tenure.js",
    edits: [
      [
        "            if (this.ended)\n                return;\n            this.#acknowledge",
        "            if (this.ended || late)\n                return;\n            this.#acknowledge",
      ],
    ],
    backend: "redis",
    nemesis: "answers-slow",
  },
];

/** What the checkers found that no guarantee announces, by checker. */
function unannounced(file) {
  if (!existsSync(file)) return "";
  const { violations, announcedBy } = JSON.parse(readFileSync(file, "utf8"));
  const counts = Object.entries(violations).map(([checker, count]) => [checker, count - (announcedBy[checker] ?? 0)]);
  return counts.flatMap(([checker, count]) => (count > 0 ? [`${checker} ${count}`] : [])).join(", ");
}

const copy = mkdtempSync(join(tmpdir(), "dlock-sabotage-"));
let missed = 0;
try {
  const keep = (path) => !path.includes("/.git") && !path.includes("/.turbo");
  cpSync(root, copy, { recursive: true, verbatimSymlinks: true, filter: keep });
  for (const { name, file, edits, backend, nemesis } of lines.filter((line) => line.name.includes(values.only ?? ""))) {
    const path = join(copy, file);
    const whole = readFileSync(path, "utf8");
    let broken = whole;
    for (const [line, instead] of edits) {
      if (broken.split(line).length !== 2) throw new Error(`${file} has not exactly one of: ${line}`);
      broken = broken.replace(line, () => instead);
    }
    writeFileSync(path, broken);
    const history = join(copy, "history");
    const args = ["--short", "--backend", backend, "--nemesis", nemesis, "--seed", values.seed, "--history", history];
    const program = [join(copy, "chaos/dist/main.js"), ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, program, { encoding: "utf8" });
    writeFileSync(path, whole);
    const found = status === 1 ? unannounced(join(history, backend, nemesis, "tally.json")) : "";
    rmSync(history, { recursive: true, force: true });
    const noticed = found !== "";
    if (!noticed) missed += 1;
    console.log(`${name} (${backend} × ${nemesis}): ${noticed ? found : `NOT NOTICED\n${stderr}${stdout}`}`);
  }
} finally {
  rmSync(copy, { recursive: true });
}
process.exitCode = missed === 0 ? 0 : 1;
