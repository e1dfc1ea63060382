import { createLocks, type Locks } from "@dlock/core";
import { lockInTransaction, sqlProvider, type SqlOptions } from "@dlock/sql";
import { describe, expect, onTestFinished, test } from "vitest";
import { applications } from "./application.js";
import { newKey } from "./server.js";

const all = await applications();

// Whatever a statement of ours calls a part of itself, and words of SQL.
const names = [
  ..."setting free updated inserted ended lease old dead mine other moment writer held idle reader".split(" "),
  ..."excluded next ends one space class found key select order user DUAL Table_1".split(" "),
];

const strategies = { sqlite: ["version"], postgres: ["version", "for-update", "advisory"] } as const;
const places = all.flatMap((place) => {
  const own = place.name === "sqlite" ? strategies.sqlite : strategies.postgres;
  return own.map((strategy) => ({ ...place, strategy, title: `${place.name}, ${strategy}` }));
});

describe.each(places)("on $title", ({ name, strategy, ...place }) => {
  test.each(names)("a table called %s works like any other", async (table) => {
    const application = await place.knex();
    const options: SqlOptions = { strategy, table, notify: name === "postgres" && strategy === "version" };
    const open = async (): Promise<Locks> => {
      const provider = sqlProvider(application, options);
      const locks = await createLocks(provider, { ttl: 3_000 });
      onTestFinished(async () => {
        await locks.close();
        await provider.close();
      });
      return locks;
    };
    const [one, two] = [await open(), await open()];
    const key = newKey();
    const lock = await one.acquire(key);
    expect(await two.tryAcquire(key)).toBeUndefined();
    await lock.extend();
    expect((await two.inspect(key))?.holders).toHaveLength(1);
    await lock.release();
    const next = await two.acquire(key);
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    await next.release();
    if (strategy !== "advisory" || name === "postgres") {
      const readers = [await one.acquire(key, { mode: "shared" }), await two.acquire(key, { mode: "shared" })];
      expect((await two.inspect(key))?.holders).toHaveLength(2);
      expect(await two.tryAcquire(key)).toBeUndefined();
      for (const reader of readers) await reader.release();
      await (await two.acquire(key)).release();
    }
    if (strategy === "version") {
      const permits = [await one.acquire(key, { limit: 2 }), await two.acquire(key, { limit: 2 })];
      expect(await two.tryAcquire(key, { limit: 2 })).toBeUndefined();
      for (const permit of permits) await permit.release();
      const shared = await one.acquire(key);
      await shared.downgrade();
      await shared.release();
    }
    if (strategy === "advisory" && name !== "postgres") return;
    await application.transaction(async (trx) => {
      await lockInTransaction(trx, key, { strategy, table });
      if (name !== "sqlite") expect(await one.tryAcquire(key)).toBeUndefined();
    });
    await (await one.acquire(key)).release();
  });
});
