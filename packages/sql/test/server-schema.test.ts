import { readFileSync } from "node:fs";
import { schema } from "@dlock/sql";
import { describe, expect, onTestFinished, test } from "vitest";
import { application, keyColumn, micros, newKey, newTable, openServers, provide } from "./server.js";
import { ask, claim } from "./store.js";

// What releases share. A change here is a new layout, which older releases have to refuse and be refused by.
const postgresLayout1 = `CREATE TABLE IF NOT EXISTS "dlock_leases" (
  key text COLLATE "C" PRIMARY KEY, -- the lock; the row without a key tells the layout
  claim text NOT NULL,              -- who has the lease; empty once it was given up
  owner text NOT NULL,              -- the label of that claim, for people
  version bigint NOT NULL,          -- the fencing token
  expires bigint NOT NULL,          -- when the lease ends, in microseconds since 1970
  day integer NOT NULL              -- of the last acquisition, in days since 1970
) WITH (fillfactor = 50);

CREATE INDEX IF NOT EXISTS "dlock_leases_day" ON "dlock_leases" (day);

INSERT INTO "dlock_leases" (key, claim, owner, version, expires, day)
VALUES ('', '', 'layout of dlock', 1, 9223372036854775807, 2147483647) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS "dlock_leases_holders" (
  key text COLLATE "C",    -- the lock, of a lease that several share
  claim text COLLATE "C",  -- one of those who share it
  company text NOT NULL,   -- what the lease has in place of a claim while they do; "writer": it waits to write
  owner text NOT NULL,     -- the label of that claim, for people
  token bigint NOT NULL,   -- its fencing token
  expires bigint NOT NULL, -- when its time ends, in microseconds since 1970; the lease lasts as long as the last one
  PRIMARY KEY (key, claim)
) WITH (fillfactor = 50);
`;
const mysqlLayout1 = `CREATE TABLE IF NOT EXISTS \`dlock_leases\` (
  \`key\` VARBINARY(515) NOT NULL PRIMARY KEY, -- the lock; the row without a key tells the layout
  claim VARBINARY(255) NOT NULL,             -- who has the lease; empty once it was given up
  owner TEXT CHARACTER SET utf8mb4 NOT NULL, -- the label of that claim, for people
  version BIGINT NOT NULL,                   -- the fencing token
  expires BIGINT NOT NULL,                   -- when the lease ends, in microseconds since 1970
  day INT NOT NULL,                          -- of the last acquisition, in days since 1970
  KEY (day)
) ENGINE=InnoDB;

INSERT INTO \`dlock_leases\` (\`key\`, claim, owner, version, expires, day)
VALUES ('', '', 'layout of dlock', 1, 9223372036854775807, 2147483647) ON DUPLICATE KEY UPDATE day = 2147483647;

CREATE TABLE IF NOT EXISTS \`dlock_leases_holders\` (
  \`key\` VARBINARY(515) NOT NULL,             -- the lock, of a lease that several share
  claim VARBINARY(100) NOT NULL,             -- one of those who share it
  company VARBINARY(255) NOT NULL,           -- what the lease has in place of a claim while they do; "writer": it waits to write
  owner TEXT CHARACTER SET utf8mb4 NOT NULL, -- the label of that claim, for people
  token BIGINT NOT NULL,                     -- its fencing token
  expires BIGINT NOT NULL,                   -- when its time ends, in microseconds since 1970; the lease lasts as long as the last one
  PRIMARY KEY (\`key\`, claim)
) ENGINE=InnoDB;
`;

test("the layout of the table is the one that other releases know", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  expect(schema("postgres")).toBe(postgresLayout1);
  for (const dialect of ["mysql", "mariadb"] as const) expect(schema(dialect)).toBe(mysqlLayout1);
  for (const layout of [postgresLayout1, mysqlLayout1]) expect(readme).toContain(layout);
});

describe.each(await openServers("postgres", "mariadb", "mysql"))("on $name", (server) => {
  const { name, database } = server;
  const columns = `${keyColumn(server)}, claim, owner, version, expires, day`;

  test("the printed schema may be run again and again, and by hand, and is what the provider makes", async () => {
    const table = newTable();
    const printed = schema(name, table)
      .split(";\n")
      .filter((statement) => statement.trim() !== "");
    for (const statement of [...printed, ...printed]) await database.query(statement);
    const provider = provide(database.url, { table });
    await Promise.all([provider.createSchema(), provider.createSchema(), ask(claim(provider, "key"))]);
    expect((await provider.inspect("key")).holders).toHaveLength(1);
    expect(await database.query(`SELECT version FROM ${table} WHERE ${keyColumn(server)} = ''`)).toHaveLength(1);
  });

  test("the lease of a release that knows the same layout is honoured, and its token exceeded", async () => {
    const provider = provide(database.url);
    await provider.createSchema();
    const [held, ended] = [newKey(), newKey()];
    const now = micros(server);
    for (const [key, expires] of [
      [held, `${now} + 60000000`],
      [ended, `${now} - 1`],
    ])
      await database.query(
        `INSERT INTO dlock_leases (${columns}) VALUES ('${key}', 'c1', 'host:1', ${2n ** 60n}, ${expires}, 0)`,
      );
    expect(await ask(claim(provider, held))).toBeUndefined();
    expect((await provider.inspect(held)).holders).toMatchObject([{ owner: "host:1", fencingToken: 2n ** 60n }]);
    expect(await ask(claim(provider, ended))).toBe(2n ** 60n + 1n);
  });

  test("what a claim writes is what other releases read", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key, 60_000, { id: "an id", owner: "host:2" });
    const before = Date.now() * 1_000;
    const token = await ask(holder);
    const knex = application(database.url);
    const read = async () => {
      const [row] = (await knex("dlock_leases").where({ key: Buffer.from(key).toString() })) as Record<
        string,
        unknown
      >[];
      return Object.fromEntries(Object.entries(row ?? {}).map(([column, value]) => [column, String(value as string)]));
    };
    const row = await read();
    const day = String(Math.floor(Date.now() / 86_400_000));
    expect(row).toEqual({ key, claim: "an id", owner: "host:2", version: String(token), expires: row["expires"], day });
    expect(Number(row["expires"])).toBeGreaterThanOrEqual(before + 60_000_000);
    expect(Number(row["expires"])).toBeLessThan(before + 61_000_000);
    expect(Number(token) - before).toBeLessThan(1_000_000);
    await holder.release();
    expect(await read()).toEqual({ ...row, claim: "", expires: "0" });
    onTestFinished(() => knex.destroy());
  });

  test("the row that tells the layout stays as it was made, whatever is done with locks", async () => {
    const table = newTable();
    const provider = provide(database.url, { table });
    const read = () =>
      database.query(
        `SELECT claim, owner, CAST(version AS CHAR(20)) AS version, CAST(expires AS CHAR(20)) AS expires FROM ${table} WHERE ${keyColumn(server)} = ''`,
      );
    await provider.createSchema();
    const made = await read();
    expect(String(made[0]?.["expires"]).trim()).toBe(String(2n ** 63n - 1n));
    for (const mode of ["exclusive", "shared"] as const) {
      const holder = claim(provider, newKey(), 60_000, { mode });
      await ask(holder);
      expect(await holder.renew(60_000)).toBe(true);
      await holder.release();
    }
    await provider.close();
    expect(await read()).toEqual(made);
  });
});
