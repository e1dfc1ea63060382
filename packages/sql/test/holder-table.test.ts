import { join } from "node:path";
import type { ClaimRequest } from "@dlock/core";
import { expect, onTestFinished, test } from "vitest";
import { HolderTable } from "../src/holder-table.js";
import { fileSource } from "../src/knex-client.js";
import { LeaseTable } from "../src/lease-table.js";
import { SqliteDatabase } from "../src/sqlite-database.js";
import { sqliteDialect } from "../src/sqlite-dialect.js";
import { loadDriver } from "../src/sqlite-driver.js";
import { sqliteHolders } from "../src/sqlite-holders.js";
import { directory, now } from "./store.js";

const table = "dlock_leases";
const sql = sqliteHolders(table);

/** Does something once, right before a statement that has these words. */
function tables(meanwhile: { before: string; does(): Promise<unknown> } | undefined, filename: string) {
  const database = new SqliteDatabase(fileSource("filename", filename, loadDriver(undefined)), () => {});
  onTestFinished(() => database.close());
  const leases = new LeaseTable(
    {
      query: async (statement, bindings, patience) => {
        const due = meanwhile && statement.includes(meanwhile.before) ? meanwhile : undefined;
        if (due) meanwhile = undefined;
        await due?.does();
        return database.query(statement, bindings, patience);
      },
      close: () => database.close(),
    },
    sqliteDialect(table),
    table,
  );
  return { leases, holders: new HolderTable(leases, sql) };
}

const request = (id: string, terms: Partial<ClaimRequest> = {}): ClaimRequest => {
  const reader = { key: "key", id, owner: "test", ttl: 60_000, mode: "shared", limit: 1, join: true } as const;
  return { ...reader, ...terms };
};
const soon = () => ({ until: now() + 5_000 });

test("a reader that comes between the look of the last one and the end of the lease keeps the lease", async () => {
  const filename = join(directory(), "locks.db");
  const other = tables(undefined, filename).holders;
  const comes = { before: sql.settle, does: () => other.take(request("second"), soon()) };
  const { leases, holders } = tables(comes, filename);
  await holders.take(request("first"), soon());
  await holders.giveUp(request("first"), soon());
  expect((await leases.take(request("writer", { mode: "exclusive" }), soon())).token).toBeUndefined();
  expect(await other.renew(request("second"), 60_000, soon())).toBe(true);
});

test("a permit whose holder was counted as dead, and renewed in that moment, is not given away", async () => {
  const filename = join(directory(), "locks.db");
  const { holders: other, leases: side } = tables(undefined, filename);
  const permit = (id: string, ttl = 60_000) => request(id, { mode: "exclusive", limit: 2, ttl });
  await other.take(permit("long"), soon());
  await other.take(permit("slow"), soon());
  const end = (expires: number) =>
    side.query(`UPDATE ${table}_holders SET expires = ${expires} WHERE claim = 'slow'`, {}, soon());
  await end(1);
  const renews = async () => {
    // Its statement had read the clock in time. The lease lasts longer anyway.
    await end(Date.now() + 1_000);
    expect(await other.renew(permit("slow"), 10_000, soon())).toBe(true);
  };
  const { holders } = tables({ before: "SET claim = :company, owner = :owner, version", does: renews }, filename);
  expect((await holders.take(permit("new"), soon())).token).toBeUndefined();
});
