import { join } from "node:path";
import { readFileSync, rmSync } from "node:fs";
import { LockConfigError, type ProviderNotice } from "@dlock/core";
import { schema, sqlProvider } from "@dlock/sql";
import { expect, onTestFinished, test } from "vitest";
import { ask, claim, directory, foreign, open } from "./store.js";

// What releases share. A change here is a new layout, which older releases have to refuse and be refused by.
const layout1 = `CREATE TABLE IF NOT EXISTS "dlock_leases" (
  key TEXT NOT NULL COLLATE BINARY PRIMARY KEY, -- the lock; the row without a key tells the layout
  claim TEXT NOT NULL,                          -- who has the lease; empty once it was given up
  owner TEXT NOT NULL,                          -- the label of that claim, for people
  version INTEGER NOT NULL,                     -- the fencing token
  expires INTEGER NOT NULL                      -- when the lease ends, in Unix ms
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS "dlock_leases_version" ON "dlock_leases" (version);

INSERT INTO "dlock_leases" (key, claim, owner, version, expires)
VALUES ('', '', 'layout of dlock', 1, 9223372036854775807) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS "dlock_leases_holders" (
  key TEXT NOT NULL COLLATE BINARY,   -- the lock, of a lease that several share
  claim TEXT NOT NULL COLLATE BINARY, -- one of those who share it
  company TEXT NOT NULL,              -- what the lease has in place of a claim while they do; "writer": it waits to write
  owner TEXT NOT NULL,                -- the label of that claim, for people
  token INTEGER NOT NULL,             -- its fencing token
  expires INTEGER NOT NULL,           -- when its time ends, in Unix ms; the lease lasts as long as the last one
  PRIMARY KEY (key, claim)
) STRICT, WITHOUT ROWID;
`;

test("the layout of the table is the one that other releases know", () => {
  expect(schema("sqlite")).toBe(layout1);
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(layout1);
});

test("the lease of a release that knows the same layout is honoured, and its token exceeded", async () => {
  const file = join(directory(), "locks.db");
  const other = foreign(file);
  other.exec(layout1);
  other.exec(`INSERT INTO dlock_leases VALUES ('held', 'c1', 'host:1', ${2n ** 60n}, ${Date.now() + 60_000})`);
  other.exec(`INSERT INTO dlock_leases VALUES ('ended', 'c2', 'host:1', ${2n ** 60n}, ${Date.now() - 1})`);
  const provider = open(file);
  expect(await ask(claim(provider, "held"))).toBeUndefined();
  expect((await provider.inspect("held")).holders).toMatchObject([{ owner: "host:1", fencingToken: 2n ** 60n }]);
  expect(await ask(claim(provider, "ended"))).toBe(2n ** 60n + 1n);
});

test("what a claim writes is what other releases read", async () => {
  const file = join(directory(), "locks.db");
  const holder = claim(open(file), "key", 60_000, { id: "an id", owner: "host:2" });
  const before = Date.now();
  const token = await ask(holder);
  const read = "SELECT key, claim, owner, CAST(version AS TEXT) version, expires FROM dlock_leases WHERE key <> ''";
  const side = foreign(file);
  const [row] = side.prepare(read).all() as { expires: number }[];
  expect(row).toEqual({ key: "key", claim: "an id", owner: "host:2", version: String(token), expires: row?.expires });
  expect(row?.expires).toBeGreaterThanOrEqual(before + 60_000);
  expect(row?.expires).toBeLessThan(before + 61_000);
  expect(Number(token) / 1_000 - before).toBeLessThan(1_000);
  await holder.release();
  expect(side.prepare(read).all()).toEqual([{ ...row, claim: "", expires: 0 }]);
});

test("a table of another layout is refused, by whoever comes first", async () => {
  const file = join(directory(), "locks.db");
  const other = foreign(file);
  other.exec(layout1.replace("of dlock', 1", "of dlock', 2"));
  const provider = open(file);
  for (const use of [() => provider.connect(), () => provider.createSchema(), () => ask(claim(provider, "key"))]) {
    const refused = use();
    await expect(refused).rejects.toThrow(LockConfigError);
    await expect(refused).rejects.toThrow(/table: "dlock_leases" .* knows layout 2/);
  }
});

test("the printed schema and createSchema may be run again and again", async () => {
  const file = join(directory(), "locks.db");
  const other = foreign(file);
  const provider = open(file);
  await Promise.all([provider.createSchema(), provider.createSchema(), ask(claim(provider, "key"))]);
  other.exec(schema("sqlite"));
  await provider.createSchema();
  expect((await provider.inspect("key")).holders).toHaveLength(1);
});

test("tables in one file are apart", async () => {
  const filename = join(directory(), "locks.db");
  const [one, two] = ["one", "Two"].map((table) => {
    const provider = sqlProvider({ filename }, { strategy: "version", table });
    onTestFinished(() => provider.close());
    return provider;
  });
  if (!one || !two) throw new Error();
  expect(await ask(claim(one, "key"))).toBeTypeOf("bigint");
  expect(await ask(claim(two, "key"))).toBeTypeOf("bigint");
});

test("a table that was dropped is created again, and its holders are told", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  const holder = claim(provider, "key");
  const token = await ask(holder);
  foreign(file).exec("DROP TABLE dlock_leases");
  expect(await holder.renew(1_000)).toBe(false);
  expect(await ask(claim(provider, "key"))).toBeGreaterThan(token ?? 0n);
});

test("a file that was replaced while it was in use is noticed: its holds are lost, and the new file is used", async () => {
  const filename = join(directory(), "locks.db");
  const notices: ProviderNotice[] = [];
  const provider = sqlProvider({ filename }, { strategy: "version", emit: (notice) => notices.push(notice) });
  onTestFinished(() => provider.close());
  const holder = claim(provider, "key");
  await ask(holder);
  for (const part of ["", "-wal", "-shm"]) rmSync(filename + part, { force: true });
  const other = open(filename);
  expect(await ask(claim(other, "key"))).toBeTypeOf("bigint");
  const both = await Promise.all([ask(claim(provider, "key")), holder.renew(1_000), ask(claim(provider, "key"))]);
  expect(both).toEqual([undefined, false, undefined]);
  expect(notices).toMatchObject([{ code: "DATABASE_REPLACED" }]);
});

test("somebody else's table of that name is refused, and left alone", async () => {
  const file = join(directory(), "locks.db");
  foreign(file).exec("CREATE TABLE dlock_leases (a TEXT)");
  await expect(open(file).connect()).rejects.toMatchObject({
    code: "LOCK_CONFIG",
    field: "table",
    value: "dlock_leases",
  });
});
