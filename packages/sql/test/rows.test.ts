import { LockConfigError, LockLostError } from "@dlock/core";
import {
  conditionalUpdate,
  fencedUpdate,
  optimisticUpdate,
  RowConflictError,
  RowMissingError,
  StaleTokenError,
} from "@dlock/sql";
import type { Knex } from "knex";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Application, applications } from "./application.js";
import { sleep } from "./store.js";

interface Product {
  id: number;
  name: string;
  stock: number;
  version: number | string;
}

const all = await applications();
const servers = all.filter(({ name }) => name !== "sqlite");
let tables = 0;

/** Its table has one row: 1, "chair", stock 10, version 1, never fenced. */
async function shop(application: Application, settings: Partial<Knex.Config> = {}) {
  const knex = await application.knex(settings);
  const table = `product_${process.pid}_${(tables += 1)}`;
  await knex.schema.createTable(table, (columns) => {
    columns.integer("id").primary();
    columns.string("name");
    columns.integer("stock");
    columns.bigInteger("version").notNullable();
    columns.bigInteger("fence_token");
  });
  onTestFinished(() => knex.schema.dropTable(table));
  await knex(table).insert({ id: 1, name: "chair", stock: 10, version: 1 });
  const row = async () => (await knex(table).where({ id: 1 }).first()) as Record<string, unknown>;
  const place = { table, key: { id: 1 } };
  return {
    knex,
    table,
    place,
    row,
    versioned: { ...place, version: "version" },
    fenced: { ...place, fence: "fence_token" },
  };
}

const lock = (fencingToken: bigint) => ({ key: "product:1", fencingToken });

describe.each(all)("on $name", (application) => {
  test("concurrent optimistic updates all count, each on the row as the one before left it", async () => {
    const { knex, versioned, row } = await shop(application);
    const sell = () =>
      optimisticUpdate<Product>(knex, versioned, ({ stock }) => ({ stock: stock - 1 }), { retries: 100 });
    const sold = await Promise.all(Array.from({ length: 8 }, sell));
    expect(sold.map(({ stock }) => stock).toSorted((a, b) => b - a)).toEqual([9, 8, 7, 6, 5, 4, 3, 2]);
    expect(await row()).toMatchObject({ stock: 2 });
    expect(Number((await row())["version"])).toBe(9);
    expect(sold.map(({ version }) => Number(version)).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("an update that always meets a newer row gives up after its retries, and says so", async () => {
    const { knex, table, versioned, row } = await shop(application);
    let calls = 0;
    const disturbed = optimisticUpdate(
      knex,
      versioned,
      async () => {
        calls += 1;
        await knex(table).where({ id: 1 }).increment("version");
        return { stock: 0 };
      },
      { retries: 2 },
    );
    const error: unknown = await disturbed.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RowConflictError);
    expect(error).toMatchObject({ code: "ROW_CONFLICT", table, key: { id: 1 }, attempts: 3 });
    expect(String(error)).toMatch(
      /the row of product_\S+ with id 1 was changed by somebody else during each of 3 updates/,
    );
    expect([calls, await row()]).toMatchObject([3, { stock: 10 }]);
  });

  test("a change that returns nothing leaves the row as it is, and its own error passes", async () => {
    const { knex, versioned, row } = await shop(application);
    const before = await row();
    expect(await optimisticUpdate(knex, versioned, () => undefined)).toEqual(before);
    const mine = new Error("mine");
    await expect(optimisticUpdate(knex, versioned, () => Promise.reject(mine))).rejects.toBe(mine);
    expect(await row()).toEqual(before);
  });

  test("in a transaction an update is tried once, and is undone with it", async () => {
    const { knex, versioned, row } = await shop(application);
    const undo = new Error("undo");
    const undone = knex.transaction(async (trx) => {
      expect(await optimisticUpdate<Product>(trx, versioned, () => ({ stock: 1 }))).toMatchObject({ stock: 1 });
      await expect(optimisticUpdate(trx, versioned, () => ({ stock: 2 }), { retries: 1 })).rejects.toThrow(
        /retries: 1 is not accepted; expected 0 in a transaction/,
      );
      throw undo;
    });
    await expect(undone).rejects.toBe(undo);
    expect(await row()).toMatchObject({ stock: 10 });
  });

  test("a version beyond 2^53 is compared exactly, or refused where the driver rounds it", async () => {
    const { knex, table, versioned, row } = await shop(application);
    const large = 2n ** 53n + 1n;
    await knex(table).update({ version: knex.raw(`${large}`) });
    const update = optimisticUpdate(knex, versioned, () => ({ stock: 1 }));
    if (application.name === "postgres") {
      expect(await update).toMatchObject({ version: String(large + 1n) });
      expect(await row()).toMatchObject({ version: String(large + 1n) });
    } else {
      await expect(update).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "version" });
    }
  });

  test("a conditional update happens as often as its condition is true", async () => {
    const { knex, place, row } = await shop(application);
    const sell = () =>
      conditionalUpdate(knex, { ...place, when: knex.raw("stock >= ?", [3]) }, { stock: knex.raw("stock - 3") });
    const sold = await Promise.all(Array.from({ length: 8 }, sell));
    expect(sold.filter(Boolean)).toHaveLength(3);
    expect(await row()).toMatchObject({ stock: 1 });
    expect(await conditionalUpdate(knex, { ...place, when: { name: "table" } }, { stock: 0 })).toBe(false);
    expect(await conditionalUpdate(knex, { ...place, when: { name: "chair" } }, { stock: 1 })).toBe(true);
  });

  test("a conditional update in a transaction is undone with it, and a refusal leaves the transaction whole", async () => {
    const { knex, place, row } = await shop(application);
    await knex.transaction(async (trx) => {
      expect(await conditionalUpdate(trx, { ...place, when: trx.raw("stock > 10") }, { stock: 0 })).toBe(false);
      expect(await conditionalUpdate(trx, { ...place, when: trx.raw("stock = 10") }, { stock: 5 })).toBe(true);
    });
    expect(await row()).toMatchObject({ stock: 5 });
  });

  test("a later holder's write shuts out the earlier one, who is told", async () => {
    const { knex, fenced, row } = await shop(application);
    await fencedUpdate(knex, fenced, lock(7n), { stock: 9 });
    await fencedUpdate(knex, fenced, lock(7n), { stock: 8 });
    await fencedUpdate(knex, fenced, lock(7n), { stock: 8 });
    await fencedUpdate(knex, fenced, lock(12n), { stock: 7 });
    const error: unknown = await fencedUpdate(knex, fenced, lock(7n), { stock: 0 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StaleTokenError);
    expect(error).toBeInstanceOf(LockLostError);
    expect(error).toMatchObject({ code: "LOCK_LOST", key: "product:1", fencingToken: 7n, newerToken: 12n });
    expect(await row()).toMatchObject({ stock: 7 });
  });

  test("tokens beyond 2^53 are told apart", async () => {
    const { knex, fenced, row } = await shop(application);
    const large = 2n ** 60n;
    await fencedUpdate(knex, fenced, lock(large + 1n), { stock: 9 });
    await expect(fencedUpdate(knex, fenced, lock(large), { stock: 0 })).rejects.toMatchObject({
      newerToken: large + 1n,
    });
    await fencedUpdate(knex, fenced, lock(large + 2n), { stock: 8 });
    expect(await row()).toMatchObject({ stock: 8 });
  });

  test("a stale write in a transaction is refused without ending the transaction", async () => {
    const { knex, fenced, row } = await shop(application);
    await fencedUpdate(knex, fenced, lock(9n), { stock: 9 });
    await knex.transaction(async (trx) => {
      await expect(fencedUpdate(trx, fenced, lock(8n), { stock: 0 })).rejects.toBeInstanceOf(StaleTokenError);
      await fencedUpdate(trx, fenced, lock(10n), { stock: 4 });
    });
    expect(await row()).toMatchObject({ stock: 4 });
  });

  test("a row that is not there is an error of its own", async () => {
    const { knex, table } = await shop(application);
    const place = { table, key: { id: 2 } };
    const missing = { name: "RowMissingError", code: "ROW_MISSING", table, key: { id: 2 } };
    await expect(optimisticUpdate(knex, { ...place, version: "version" }, () => ({}))).rejects.toMatchObject(missing);
    await expect(conditionalUpdate(knex, { ...place, when: { stock: 1 } }, { stock: 0 })).rejects.toMatchObject(
      missing,
    );
    const fenced = fencedUpdate(knex, { ...place, fence: "fence_token" }, lock(1n), { stock: 0 });
    await expect(fenced).rejects.toBeInstanceOf(RowMissingError);
  });

  test("a key that names several rows, none of its columns, or no version is refused", async () => {
    const { knex, table, versioned, fenced, place, row } = await shop(application);
    await knex(table).insert({ id: 2, name: "chair", stock: 10, version: 1 });
    const several = { key: { name: "chair" } };
    await expect(optimisticUpdate(knex, { ...versioned, ...several }, () => ({}))).rejects.toThrow(/not several/);
    const both = knex.transaction((trx) => fencedUpdate(trx, { ...fenced, ...several }, lock(1n), { stock: 0 }));
    await expect(both).rejects.toThrow(/key: "name" is not accepted; expected columns that name one row, not several/);
    expect(await row()).toMatchObject({ stock: 10 });
    for (const key of [{}, null, 1]) {
      const wrong = { ...place, key } as typeof place;
      await expect(conditionalUpdate(knex, { ...wrong, when: { stock: 1 } }, { stock: 0 })).rejects.toThrow(
        LockConfigError,
      );
    }
    await expect(optimisticUpdate(knex, { ...versioned, version: "name" }, () => ({}))).rejects.toThrow(
      /version: "chair"/,
    );
    await expect(optimisticUpdate(knex, { ...versioned, version: "fence_token" }, () => ({}))).rejects.toThrow(
      /version: null/,
    );
  });

  test("changes to the column that counts, a misspelt field and what is no knex are refused", async () => {
    const { knex, versioned, fenced, place } = await shop(application);
    await expect(optimisticUpdate(knex, versioned, () => ({ version: 9 }))).rejects.toThrow(/changes: "version"/);
    await expect(fencedUpdate(knex, fenced, lock(1n), { fence_token: 9 })).rejects.toThrow(/changes: "fence_token"/);
    await expect(fencedUpdate(knex, fenced, { key: "k" } as never, {})).rejects.toThrow(/lock: undefined/);
    const misspelt = { ...place, wen: {} } as never;
    await expect(conditionalUpdate(knex, misspelt, {})).rejects.toThrow(/place: "wen"/);
    await expect(conditionalUpdate(knex, { ...place, when: {} }, { stock: 0 })).rejects.toThrow(/when: an object/);
    await expect(conditionalUpdate(knex, { ...place, when: { stock: 1 } }, {})).rejects.toThrow(/changes: an object/);
    await expect(conditionalUpdate({} as never, { ...place, when: { stock: 1 } }, { stock: 0 })).rejects.toThrow(
      /knex: an object/,
    );
  });

  test("the application's naming applies to its rows", async () => {
    const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const named = (found: unknown): unknown => {
      if (Array.isArray(found)) return found.map(named);
      if (typeof found !== "object" || found === null) return found;
      return Object.fromEntries(Object.entries(found).map(([column, value]) => [camel(column), value as unknown]));
    };
    const { knex, place, row } = await shop(application, {
      // When it makes a table for SQLite, knex asks for the name of a constraint that has none.
      wrapIdentifier: (column, wrap) => wrap(column && snake(column)),
      postProcessResponse: named,
    });
    const fenced = { ...place, fence: "fenceToken" };
    await fencedUpdate(knex, fenced, lock(5n), { stock: 9 });
    await expect(fencedUpdate(knex, fenced, lock(4n), { stock: 0 })).rejects.toMatchObject({ newerToken: 5n });
    const counted = { ...place, version: "fenceToken" };
    expect(await optimisticUpdate(knex, counted, () => ({ stock: 8 }))).toMatchObject({ stock: 8 });
    expect(String((await row())["fenceToken"])).toBe("6");
  });
});

describe.each(servers)("in stricter transactions on $name", (application) => {
  test("a row that changed after the transaction's snapshot is a conflict", async () => {
    const { knex, table, versioned } = await shop(application);
    const behind = knex.transaction(
      async (trx) => {
        await trx(table).select();
        await knex(table).where({ id: 1 }).update({ stock: 5, version: 2 });
        await optimisticUpdate(trx, versioned, () => ({ stock: 0 }));
      },
      { isolationLevel: "repeatable read" },
    );
    await expect(behind).rejects.toBeInstanceOf(RowConflictError);
  });

  test("a stale holder is told from the row as it is, not from the transaction's snapshot", async () => {
    const { knex, table, fenced } = await shop(application);
    const behind = knex.transaction(
      async (trx) => {
        await trx(table).select();
        await fencedUpdate(knex, fenced, lock(9n), { stock: 9 });
        await fencedUpdate(trx, fenced, lock(8n), { stock: 0 });
      },
      { isolationLevel: "repeatable read" },
    );
    const expected = application.name === "postgres" ? RowConflictError : StaleTokenError;
    await expect(behind).rejects.toBeInstanceOf(expected);
  });

  test("deadlocked transactions end in a conflict for one of them", async () => {
    const { knex, table, place } = await shop(application);
    await knex(table).insert({ id: 2, name: "table", stock: 10, version: 1 });
    const other = { ...place, key: { id: 2 } };
    const both = [place, other].map((first) =>
      knex.transaction(async (trx) => {
        await conditionalUpdate(trx, { ...first, when: { stock: 10 } }, { name: "first" });
        await sleep(100);
        await conditionalUpdate(trx, { ...(first === place ? other : place), when: { stock: 10 } }, { name: "second" });
      }),
    );
    const outcomes = await Promise.allSettled(both);
    const lost = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(lost).toHaveLength(1);
    expect(lost[0]?.reason).toBeInstanceOf(RowConflictError);
  });
});

describe.each(all.filter(({ name }) => name === "mariadb" || name === "mysql"))("on $name", (application) => {
  test("a knex that counts the rows that changed, not those that matched, is refused", async () => {
    const { fenced } = await shop(application);
    const { host, port, username, password, pathname } = new URL(application.database?.url ?? "");
    const connection = {
      host: host.split(":")[0] ?? "",
      port: Number(port),
      user: username,
      password,
      database: pathname.slice(1),
    };
    const knex = await application.knex({
      connection: { ...connection, flags: ["-FOUND_ROWS"] } as Knex.StaticConnectionConfig,
    });
    await expect(fencedUpdate(knex, fenced, lock(1n), { stock: 9 })).rejects.toThrow(
      /knex: "-FOUND_ROWS" is not accepted/,
    );
  });
});
