import { join } from "node:path";
import { modelCheck } from "@dlock/testbed";
import { describe, expect, test } from "vitest";
import { newTable, openServers, provide } from "./server.js";
import { connect, directory, open } from "./store.js";

const timeout = 120_000;
const title = "readers, writers and permits do what the model does, in a thousand random schedules";

test(`${title}, on sqlite`, { timeout }, async () => {
  const file = join(directory(), "locks.db");
  await modelCheck({ providers: [open(file), open(file)], count: 2_000, seed: 1 });
  const side = connect(file);
  expect(side.prepare("SELECT count(*) AS left FROM dlock_leases_holders").all()).toEqual([{ left: 0 }]);
  side.close();
});

describe.each(await openServers("postgres", "mariadb", "mysql"))("on $name", ({ database }) => {
  test(title, { timeout }, async () => {
    const table = newTable();
    const providers = [provide(database.url, { table }), provide(database.url, { table })] as const;
    await modelCheck({ providers, count: 2_000, seed: 1 });
    const [left] = (await database.query(`SELECT count(*) AS n FROM ${table}_holders`)) as readonly { n: unknown }[];
    expect(Number(left?.n)).toBe(0);
  });
});
