import { join } from "node:path";
import { modelCheck } from "@dlock/testbed";
import { describe, expect, test } from "vitest";
import { newTable, openServers, provide } from "./server.js";
import { connect, directory, open } from "./store.js";

const timeout = 120_000;
const title = "readers, writers and permits do what the model does, in thousands of random schedules";

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
    // One for each schedule that is played at a time: the model has no patience with claims that wait for a connection.
    const options = { table, connections: 16 };
    const providers = [provide(database.url, options), provide(database.url, options)] as const;
    await modelCheck({ providers, count: 2_000, seed: 1 });
    const [left] = (await database.query(`SELECT count(*) AS n FROM ${table}_holders`)) as readonly { n: unknown }[];
    expect(Number(left?.n)).toBe(0);
  });
});
