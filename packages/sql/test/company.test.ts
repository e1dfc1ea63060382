import { randomUUID } from "node:crypto";
import { createLocks, LockTimeoutError } from "@dlock/core";
import { lockInTransaction, schema, sqlProvider, type VersionProvider } from "@dlock/sql";
import type { Knex } from "knex";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Application, applications } from "./application.js";
import { holdings } from "./holdings.js";
import { ask, claim, now, sleep } from "./store.js";

const shared = { mode: "shared" } as const;
const newTable = () => `t_${randomUUID().slice(0, 8)}`;

function provide(knex: Knex, table: string): VersionProvider {
  const provider = sqlProvider(knex, { table });
  onTestFinished(() => provider.close());
  return provider;
}

async function two(place: Application, settings?: Partial<Knex.Config>) {
  const [application, table] = [await place.knex(settings), newTable()];
  return { application, table, here: provide(application, table), there: provide(application, table) };
}

describe.each(await applications())("on $name", (place) => {
  const { name } = place;

  test("readers, writers and permits that come, renew, downgrade, die and leave at all times never hold what excludes another", async () => {
    const { here, there } = await two(place);
    expect(await holdings([here, there], { ttl: 80, ms: 3_000 })).toEqual({ overlaps: [], shared: true });
  }, 20_000);

  test.runIf(name !== "sqlite")(
    "nor do they in a database that is SERIALIZABLE, where no error is seen",
    async () => {
      const sql =
        name === "postgres"
          ? "SET default_transaction_isolation TO serializable"
          : "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE";
      type Raw = { query(sql: string, done: (error: unknown) => void): void };
      const afterCreate = (raw: Raw, done: (error: unknown, raw: Raw) => void) =>
        raw.query(sql, (error) => done(error, raw));
      const { here, there } = await two(place, { pool: { min: 0, max: 4, afterCreate } });
      expect(await holdings([here, there], { ttl: 80, ms: 2_000 })).toEqual({ overlaps: [], shared: true });
    },
    20_000,
  );

  test("readers that come at the same time all get in at their first try", async () => {
    const { here, there } = await two(place);
    const readers = Array.from({ length: 24 }, (_, index) => claim(index % 2 ? here : there, "key", 60_000, shared));
    const tokens = await Promise.all(readers.map((reader) => ask(reader)));
    expect(new Set(tokens).size).toBe(24);
    expect(tokens).not.toContain(undefined);
    await Promise.all(readers.map((reader) => reader.release()));
    expect(await ask(claim(here, "key"))).toBeTypeOf("bigint");
  });

  test("the last permits go to as many as there are, however many come at the same time", async () => {
    const { here, there } = await two(place);
    const comers = Array.from({ length: 24 }, (_, index) =>
      claim(index % 2 ? here : there, "key", 60_000, { limit: 5 }),
    );
    const tokens = await Promise.all(comers.map((comer) => ask(comer)));
    expect(tokens.filter((token) => token !== undefined)).toHaveLength(5);
  });

  test("a lock in a transaction waits for readers, and keeps them out until it ends", async () => {
    const { application, table, here, there } = await two(place);
    const reader = claim(here, "key", 60_000, shared);
    await ask(reader);
    const trx = await application.transaction();
    await expect(lockInTransaction(trx, "key", { table, waitTimeout: 0 })).rejects.toThrow(LockTimeoutError);
    await reader.release();
    await lockInTransaction(trx, "key", { table, waitTimeout: 5_000 });
    const late = claim(there, "key", 60_000, { ...shared, join: false });
    expect(await ask(late, name === "sqlite" ? 300 : 5_000).catch(() => undefined)).toBeUndefined();
    await trx.commit();
    expect(await ask(claim(there, "key", 60_000, shared))).toBeTypeOf("bigint");
  });

  test("a writer gets in behind a stream of readers, and readers behind a stream of writers", async () => {
    const { here, there } = await two(place);
    const [one, other] = await Promise.all([here, there].map((provider) => createLocks(provider)));
    if (!one || !other) throw new Error();
    for (const [many, few] of [
      ["shared", "exclusive"],
      ["exclusive", "shared"],
    ] as const) {
      let going = true;
      const stream = [0, 1, 2, 3].map(async (place) => {
        await sleep(place * 20);
        while (going) await (place % 2 ? one : other).withLock("key", { mode: many }, () => sleep(80));
      });
      await sleep(200);
      const since = now();
      const lock = await one.acquire("key", { mode: few, waitTimeout: 10_000 });
      await lock.release();
      going = false;
      await Promise.all(stream);
      expect(now() - since).toBeLessThan(5_000);
    }
  }, 30_000);

  test("a reader that comes when the last one has left lets the writer that waits go first", async () => {
    const { here, there } = await two(place);
    const reader = claim(here, "key", 60_000, shared);
    await ask(reader);
    const writer = claim(there, "key");
    expect(await ask(writer)).toBeUndefined();
    const over = new AbortController();
    const waiting = writer.waitTurn?.(over.signal);
    await sleep(100);
    await reader.release();
    expect(await ask(claim(here, "key", 60_000, { ...shared, join: false }))).toBeUndefined();
    over.abort();
    await waiting;
    expect(await ask(writer)).toBeTypeOf("bigint");
    await writer.release();
  });

  test("whoever shares a lease and asks again gets the same token and all of its time", async () => {
    const { here } = await two(place);
    for (const [key, terms] of Object.entries({ readers: shared, permits: { limit: 2 } })) {
      const claims = [1, 2].map(() => claim(here, key, 2_000, terms));
      const tokens = [];
      for (const each of claims) tokens.push(await ask(each));
      await sleep(400);
      for (const [index, each] of claims.entries()) expect(await ask(each)).toBe(tokens[index]);
      for (const { expiresIn } of (await here.inspect(key)).holders) expect(expiresIn).toBeGreaterThan(1_700);
      for (const each of claims) await each.release();
    }
  });

  test("a writer that waited behind readers and went leaves nothing behind that keeps readers out", async () => {
    const { application, table, here, there } = await two(place);
    const reader = claim(here, "key", 60_000, shared);
    await ask(reader);
    const writer = claim(there, "key");
    expect(await ask(writer)).toBeUndefined();
    const over = new AbortController();
    const waiting = writer.waitTurn?.(over.signal);
    await sleep(100);
    expect(await ask(claim(there, "key", 60_000, { ...shared, join: false }))).toBeUndefined();
    expect(await ask(reader)).toBeTypeOf("bigint");
    over.abort();
    await waiting;
    await writer.release();
    const second = claim(there, "key", 60_000, shared);
    expect(await ask(second)).toBeTypeOf("bigint");
    await Promise.all([reader.release(), second.release()]);
    expect(await application(`${table}_holders`)).toEqual([]);
  });

  test("a table of leases from before there was sharing serves exclusive locks as it is, and gets its second one when needed", async () => {
    const { application, table, here } = await two(place);
    const [before = ""] = schema(name, table).split(/\n\nCREATE TABLE IF NOT EXISTS \S+_holders/);
    for (const statement of before.split(";\n")) if (statement.trim() !== "") await application.raw(statement);
    const holder = claim(here, "key");
    expect(await ask(holder)).toBeTypeOf("bigint");
    expect(await ask(claim(here, "key"))).toBeUndefined();
    await holder.release();
    expect(await application.schema.hasTable(`${table}_holders`)).toBe(false);
    expect(await ask(claim(here, "key", 60_000, shared))).toBeTypeOf("bigint");
    expect(await application.schema.hasTable(`${table}_holders`)).toBe(true);
  });
});
