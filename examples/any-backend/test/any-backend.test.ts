import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Config } from "@dlock/core";
import { isSelected, openMariadb, openPostgres, openRedis, openZooKeeper, startRedisQuorum } from "@dlock/testbed";
import { describe, expect, test } from "vitest";

const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const units = 20;

/** Runs the program in as many processes at once, with nothing but another configuration. */
async function run(config: (folder: string) => Config, processes = 2): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "dlock-any-"));
  try {
    const file = join(folder, "dlock.config.json");
    await writeFile(file, JSON.stringify(config(folder)));
    const env = { ...process.env, DLOCK_URL: "", DLOCK_CONFIG: file };
    const runs = Array.from({ length: processes }, () =>
      promisify(execFile)(process.execPath, [program, folder, String(units)], { env, timeout: 60_000 }),
    );
    const sold = (await Promise.all(runs)).map(({ stdout }) => Number(/(\d+) sold/.exec(stdout)?.[1]));
    expect(sold.reduce((sum, each) => sum + each)).toBe(units);
    expect(JSON.parse(await readFile(join(folder, "stock.json"), "utf8"))).toMatchObject({ left: 0 });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const only = (url: string): Config => ({ backends: { main: url } });

describe("the same program sells each unit once", { timeout: 90_000 }, () => {
  test("on memory, within one process", () => run(() => only("memory:"), 1));

  test("on SQLite", () => run((folder) => only(`sqlite:${folder}/locks.db`)));

  test("on an adapter of one's own", () =>
    run((folder) => ({
      // Looked up from the configuration file's folder, and then from the program's.
      backends: { files: { url: `file:${folder}/locks`, adapter: fileURLToPath(import.meta.resolve("dlock-file")) } },
    })));

  test.runIf(isSelected("redis"))("on Redis, and on a majority of five", async () => {
    const [redis, quorum] = await Promise.all([openRedis(), startRedisQuorum(5)]);
    await run(() => only(redis.url));
    await run(() => only(`redis+quorum://${quorum.nodes.map(({ host, port }) => `${host}:${port}`).join(",")}`));
    await run(() => ({ backends: { all: { quorum: quorum.nodes.map(({ url }) => url) } } }));
    await Promise.all([redis.stop(), quorum.stop()]);
  });

  test.runIf(isSelected("zookeeper"))("on ZooKeeper", async () => {
    const zookeeper = await openZooKeeper();
    await run(() => only(`${zookeeper.url}/any-backend`));
    await zookeeper.stop();
  });

  for (const [name, open] of [
    ["postgres", openPostgres],
    ["mariadb", openMariadb],
  ] as const) {
    test.runIf(isSelected(name))(`on ${name}, with each strategy`, async () => {
      const database = await open();
      for (const strategy of ["version", "for-update", "advisory"]) {
        await run(() => ({ backends: { main: { url: database.url, strategy } } }));
      }
      await database.stop();
    });
  }

  test.runIf(isSelected("redis"))("on routes, and in the middle of a migration", async () => {
    const redis = await openRedis();
    const backends = (folder: string) => ({ fast: redis.url, file: `sqlite:${folder}/locks.db` });
    await run((folder) => ({ backends: backends(folder), default: "file", routes: { "stock:*": "fast" } }));
    await run((folder) => ({
      backends: { ...backends(folder), both: { migrate: { from: "file", to: "fast" } } },
      default: "both",
    }));
    await redis.stop();
  });
});
