import { sqlProvider } from "@dlock/sql";
import { modelCheck } from "@dlock/testbed";
import { describe, expect, test } from "vitest";
import { openServers } from "./server.js";

const servers = await openServers("postgres", "mariadb", "mysql");
// Of locks that live by a connection; advisory ones of MySQL and MariaDB have no readers.
const places = servers.flatMap((server) =>
  (server.postgres ? (["for-update", "advisory"] as const) : (["for-update"] as const)).map((strategy) => ({
    ...server,
    strategy,
  })),
);

describe.each(places)("strategy $strategy on $name", ({ database, strategy }) => {
  test("readers and writers do what the model does, in a thousand random schedules", { timeout: 240_000 }, async () => {
    const table = "model";
    const [here, there] = [0, 1].map(() => sqlProvider({ url: database.url }, { strategy, table, connections: 40 }));
    if (here === undefined || there === undefined) throw new Error("unreachable: there are two");
    await modelCheck({ providers: [here, there], count: 1_000, seed: 1, atOnce: 6 });
    await Promise.all([here.close(), there.close()]);
    expect(await database.query(`SELECT claim FROM ${table}_readers`)).toEqual([]);
  });
});
