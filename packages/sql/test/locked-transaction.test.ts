import { createLocks, LockBackendError, LockConfigError, LockLostError, type Locks } from "@dlock/core";
import { lockedTransaction } from "@dlock/sql";
import type { Knex } from "knex";
import { describe, expect, onTestFinished, test } from "vitest";
import { applications, knexFor } from "./application.js";
import { now, sleep } from "./store.js";

const all = await applications();
const servers = all.filter(({ name }) => name !== "sqlite");
let tables = 0;

async function memory(): Promise<Locks> {
  const locks = await createLocks("memory:");
  onTestFinished(() => locks.close());
  return locks;
}

/** A table of notes, one of them, and what is in it. */
async function notes(knex: Knex) {
  const table = `note_${process.pid}_${(tables += 1)}`;
  await knex.schema.createTable(table, (columns) => columns.integer("id").primary());
  onTestFinished(() => knex.schema.dropTable(table));
  const read = async () => ((await knex(table).select("id").orderBy("id")) as { id: number }[]).map(({ id }) => id);
  return { table, read };
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => expect.fail(`resolved with ${String(value)}`),
    (error: unknown) => error,
  );

describe.each(all)("on $name", (application) => {
  test("what the task wrote is committed under the lock, and its result returned", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table, read } = await notes(knex);
    const result = await lockedTransaction(locks, knex, "key", async (trx, lock) => {
      expect((await locks.inspect("key")).holders).toHaveLength(1);
      await trx(table).insert({ id: 1 });
      return lock.key;
    });
    expect([result, await read()]).toEqual(["key", [1]]);
    expect((await locks.inspect("key")).holders).toEqual([]);
  });

  test("the task's own error wins, and undoes what it wrote", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table, read } = await notes(knex);
    const mine = new Error("mine");
    const failing = lockedTransaction(locks, knex, "key", { ttl: 50, autoRenew: false }, async (trx) => {
      await trx(table).insert({ id: 1 });
      await sleep(80);
      throw mine;
    });
    await expect(failing).rejects.toBe(mine);
    expect(await read()).toEqual([]);
  });

  test("a hold that was lost, or has too little left, commits nothing and is a LockLostError", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table, read } = await notes(knex);
    const write = async (trx: Knex.Transaction) => {
      await trx(table).insert({ id: 1 });
      await sleep(150);
      return "done";
    };
    const late = { ttl: 100, autoRenew: false };
    const narrow = { ttl: 2_000, autoRenew: false, margin: 1_900 };
    for (const options of [late, narrow]) {
      const error = await rejection(lockedTransaction(locks, knex, "key", options, write));
      expect(error).toBeInstanceOf(LockLostError);
      expect(error).not.toHaveProperty("result");
      expect(await read()).toEqual([]);
    }
    expect(await lockedTransaction(locks, knex, "key", { ...narrow, margin: 1_000 }, write)).toBe("done");
    expect(await read()).toEqual([1]);
  });

  test("a task that ends the transaction itself is refused, as is a transaction instead of a knex, and a bad option", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table } = await notes(knex);
    const ending = lockedTransaction(locks, knex, "key", async (trx) => {
      await trx(table).insert({ id: 1 });
      await trx.rollback();
    });
    await expect(ending).rejects.toThrow(/trx: "ended by the task" is not accepted/);
    const trx = await knex.transaction();
    await expect(lockedTransaction(locks, trx, "key", () => {})).rejects.toThrow(LockConfigError);
    await trx.rollback();
    await expect(lockedTransaction(locks, knex, "key", { margin: Number.NaN }, () => {})).rejects.toThrow(
      /margin: NaN/,
    );
    await expect(lockedTransaction(locks, knex, "key", { tll: 1 } as never, () => {})).rejects.toThrow(/"tll"/);
  });
});

describe.each(servers)("on $name", (application) => {
  const killed = async (trx: Knex.Transaction) => {
    const [id] = application.name === "postgres" ? ["pg_backend_pid()"] : ["connection_id()"];
    const found: unknown = await trx.select(trx.raw(`${id} as id`)).first();
    await application.database?.terminate((found as { id: number }).id);
    await sleep(50);
  };

  test("a COMMIT on a dead connection rejects: nothing was committed, or nobody knows", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table, read } = await notes(knex);
    const dying = lockedTransaction(locks, knex, "key", async (trx) => {
      await trx(table).insert({ id: 1 });
      await killed(trx);
    });
    const error = await rejection(dying);
    expect(error).toBeInstanceOf(LockBackendError);
    expect(String(error)).toMatch(/no answer to the COMMIT under "key": whether it took effect is not known/);
    expect(error).toMatchObject({ key: "key", noEffect: false, cause: expect.any(Error) as Error });
    expect(await read()).toEqual([]);
    expect((await locks.inspect("key")).holders).toEqual([]);
  });

  test("the hold lost while COMMIT is on its way is a LockLostError that has the result", async () => {
    const [locks, direct] = [await memory(), await application.knex()];
    const { table, read } = await notes(direct);
    const link = await application.database?.link();
    if (link === undefined || application.name === "sqlite") return;
    const knex = knexFor(application.name, link.url);
    const options = { ttl: 300, autoRenew: false, margin: 20 };
    const slow = lockedTransaction(locks, knex, "key", options, async (trx) => {
      await trx(table).insert({ id: 1 });
      link.delay(200);
      return "done";
    });
    const error = await rejection(slow);
    expect(error).toBeInstanceOf(LockLostError);
    expect(error).toHaveProperty("result", "done");
    expect(await read()).toEqual([1]);
    link.heal();
  });

  test("a COMMIT that is never answered does not hang once the hold is lost", async () => {
    const [locks, direct] = [await memory(), await application.knex()];
    const { table } = await notes(direct);
    const link = await application.database?.link();
    if (link === undefined || application.name === "sqlite") return;
    const knex = knexFor(application.name, link.url);
    const since = now();
    const silent = lockedTransaction(locks, knex, "key", { ttl: 500, autoRenew: false, margin: 20 }, async (trx) => {
      await trx(table).insert({ id: 1 });
      link.freeze();
    });
    const error = await rejection(silent);
    expect(error).toBeInstanceOf(LockLostError);
    expect(String(error)).toMatch(/was lost during a COMMIT without an answer: whether it took effect is not known/);
    expect(now() - since).toBeLessThan(4_000);
    link.heal();
  });

  test("the transaction's own settings are passed on", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table } = await notes(knex);
    const readOnly = { transaction: { readOnly: true } };
    const writing = lockedTransaction(locks, knex, "key", readOnly, (trx) => trx(table).insert({ id: 1 }));
    await expect(writing).rejects.toThrow(/read.only/i);
    const misspelt = { transaction: { isolation: "serializable" } };
    await expect(lockedTransaction(locks, knex, "key", misspelt, () => {})).rejects.toThrow(/transaction: "isolation"/);
  });
});

describe.each(all.filter(({ name }) => name === "postgres"))("on $name", (application) => {
  test("a COMMIT that PostgreSQL turned into a rollback is no success", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table, read } = await notes(knex);
    const swallowing = lockedTransaction(locks, knex, "key", async (trx) => {
      await trx(table).insert({ id: 1 });
      await trx.raw("SELECT 1 / 0").catch(() => {});
    });
    const error = await rejection(swallowing);
    expect(error).toMatchObject({ code: "LOCK_BACKEND", noEffect: true });
    expect(String(error)).toMatch(/was rolled back: a statement in it had failed/);
    expect(await read()).toEqual([]);
  });

  test("a COMMIT that the database refuses rejects with the driver's own error", async () => {
    const [locks, knex] = [await memory(), await application.knex()];
    const { table, read } = await notes(knex);
    await knex.schema.alterTable(table, (columns) => {
      columns.integer("parent").references("id").inTable(table).deferrable("deferred");
    });
    const orphan = lockedTransaction(locks, knex, "key", (trx) => trx(table).insert({ id: 1, parent: 2 }));
    await expect(orphan).rejects.toMatchObject({ code: "23503" });
    expect(await read()).toEqual([]);
  });
});
