import { createLocks, LockBackendError, LockConfigError, type Locks, LockTimeoutError } from "@dlock/core";
import { lockInTransaction, sqlProvider, type Strategy } from "@dlock/sql";
import { isSelected, startPgbouncer } from "@dlock/testbed";
import type { Knex } from "knex";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { type Application, applications, knexFor } from "./application.js";
import { now, sleep } from "./store.js";

const all = await applications();
const postgres = all.find(({ name }) => name === "postgres")?.database;
const pgbouncer = postgres && isSelected("pgbouncer") ? await startPgbouncer(postgres) : undefined;
afterAll(() => pgbouncer?.stop());

interface Place extends Pick<Application, "name" | "database" | "knex"> {
  readonly title: string;
  readonly strategy: Strategy;
  /** Where the provider's own connections go, if not where those of the application do. */
  readonly provider?: ((knex: Knex) => Knex) | undefined;
}

const strategies: Readonly<Record<Application["name"], readonly Strategy[]>> = {
  sqlite: ["version"],
  postgres: ["version", "for-update", "advisory"],
  mariadb: ["version", "for-update"],
  mysql: ["version", "for-update"],
};
const places: readonly Place[] = [
  ...all.flatMap((application) =>
    strategies[application.name].map((strategy) => ({
      ...application,
      strategy,
      title: `${application.name}, ${strategy}`,
    })),
  ),
  ...(pgbouncer === undefined
    ? []
    : strategies.postgres.map((strategy): Place => ({
        name: "postgres",
        database: postgres,
        strategy,
        title: `postgres behind pgbouncer, ${strategy}`,
        knex: async (settings) => knexFor("postgres", pgbouncer.url, settings),
        provider: strategy === "version" ? undefined : () => knexFor("postgres", postgres?.url ?? ""),
      }))),
];
const servers = places.filter(({ name }) => name !== "sqlite");

let keys = 0;
const newKey = () => `key ${process.pid} ${(keys += 1)}`;

/** Holders of the same store, under the provider's own strategy. */
async function holders(place: Place, knex: Knex): Promise<Locks> {
  const provider = sqlProvider(place.provider?.(knex) ?? knex, { strategy: place.strategy });
  // Short, for SQLite: there the transaction keeps everybody from writing.
  const locks = await createLocks(provider, { ttl: 600, backendTimeout: 1_000 });
  onTestFinished(async () => {
    await locks.close();
    await provider.close?.();
  });
  return locks;
}

/** A knex of the application's with a table of its own, which has one row: 1, 0. */
async function setUp(place: Place, settings: Partial<Knex.Config> = {}) {
  const knex = await place.knex(settings);
  const table = `counter_${process.pid}_${(keys += 1)}`;
  await knex.schema.createTable(table, (columns) => {
    columns.integer("id").primary();
    columns.integer("value");
  });
  onTestFinished(() => knex.schema.dropTable(table));
  await knex(table).insert({ id: 1, value: 0 });
  const value = async (on: Knex = knex) => ((await on(table).where({ id: 1 }).first()) as { value: number }).value;
  const { strategy } = place;
  const lock = (trx: Knex.Transaction, key: string, options = {}) =>
    lockInTransaction(trx, key, { strategy, ...options });
  return { knex, table, value, lock, locks: await holders(place, knex), key: newKey() };
}

/** On SQLite the transaction is the only one that may write, which is no answer to whether the lock is free. */
const tried = (place: Place, locks: Locks, key: string) =>
  locks.tryAcquire(key).catch((error: unknown) => {
    if (place.name !== "sqlite" || !(error instanceof LockBackendError)) throw error;
    return undefined;
  });

const undone = new Error("undone");

describe.each(places)("$title", (place) => {
  test("a transaction keeps every holder out until its commit", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    await knex.transaction(async (trx) => {
      await lock(trx, key);
      expect(await tried(place, locks, key)).toBeUndefined();
      // Beyond the lease that the transaction has begun with.
      await sleep(place.strategy === "version" ? 2_200 : 0);
      expect(await tried(place, locks, key)).toBeUndefined();
    });
    const since = now();
    await (await locks.acquire(key, { waitTimeout: 5_000 })).release();
    expect(now() - since).toBeLessThan(400);
  });

  test("its rollback frees the lock as well, and at once", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    const failing = knex.transaction(async (trx) => {
      await lock(trx, key);
      throw undone;
    });
    await expect(failing).rejects.toBe(undone);
    const since = now();
    await (await locks.acquire(key, { waitTimeout: 5_000 })).release();
    expect(now() - since).toBeLessThan(600);
  });

  test("a holder keeps transactions out, who give up in time and go on, and the holder keeps its hold", async () => {
    const { knex, table, value, lock, locks, key } = await setUp(place);
    const held = await locks.acquire(key);
    await knex.transaction(async (trx) => {
      for (const waitTimeout of [0, 900]) {
        const since = now();
        await expect(lock(trx, key, { waitTimeout })).rejects.toBeInstanceOf(LockTimeoutError);
        expect(now() - since).toBeGreaterThanOrEqual(waitTimeout - 1);
        expect(now() - since).toBeLessThan(waitTimeout + 300);
      }
      await trx(table).where({ id: 1 }).update({ value: 7 });
    });
    expect(await value()).toBe(7);
    await sleep(700);
    held.throwIfLost();
    expect(await held.release()).toBe(true);
  });

  test("a transaction that waits is served when the holder gives up", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    const held = await locks.acquire(key);
    const [freed] = await Promise.all([
      sleep(300).then(async () => {
        await held.release();
        return now();
      }),
      knex.transaction(async (trx) => lock(trx, key)),
    ]);
    expect(now() - freed).toBeLessThan(500);
  });

  test("holders and transactions never have the lock at the same time", async () => {
    const { knex, table, value, lock, locks, key } = await setUp(place, { pool: { min: 0, max: 4 } });
    let [inside, overlaps] = [0, 0];
    const section = async (on: Knex) => {
      overlaps += inside;
      inside += 1;
      // The transaction's reads have to see what the section before it committed.
      const next = (await value(on)) + 1;
      await sleep(Math.random() * 4);
      await on(table).where({ id: 1 }).update({ value: next });
      inside -= 1;
    };
    const rounds = 12;
    const many = <Result>(work: () => Promise<Result>) =>
      Promise.all(
        Array.from({ length: place.name === "sqlite" ? 1 : 3 }, async () => {
          for (let round = 0; round < rounds; round += 1) await work();
        }),
      );
    const writers = many(() =>
      knex.transaction(async (trx) => {
        await lock(trx, key);
        await section(trx);
      }),
    );
    const others = place.name === "sqlite" ? await holders(place, knex) : locks;
    // On SQLite the pool has one connection, and the transaction the only right to write.
    const sections = many(() =>
      others.withLock(key, async (held) => {
        if (place.name !== "sqlite") return section(knex);
        overlaps += inside;
        inside += 1;
        await sleep(Math.random() * 4);
        inside -= 1;
        held.throwIfLost();
      }),
    );
    await Promise.all([writers, sections]);
    expect(overlaps).toBe(0);
    expect(await value()).toBe(place.name === "sqlite" ? rounds : 6 * rounds);
  });

  test("the same transaction has the lock already, also under a savepoint", async () => {
    const { knex, lock, key } = await setUp(place);
    await knex.transaction(async (trx) => {
      await lock(trx, key);
      await lock(trx, key, { waitTimeout: 0 });
      await trx.transaction(async (inner) => lock(inner, key, { waitTimeout: 0 }));
    });
  });

  test("the lock of a savepoint is the transaction's, and lost or kept with it", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    await knex.transaction(async (trx) => {
      await trx.transaction(async (inner) => lock(inner, key));
      await lock(trx, key, { waitTimeout: 0 });
      const other = newKey();
      const undo = trx.transaction(async (inner) => {
        await lock(inner, other);
        throw undone;
      });
      await expect(undo).rejects.toBe(undone);
      await lock(trx, other, { waitTimeout: 3_000 });
      expect(await tried(place, locks, other)).toBeUndefined();
      expect(await tried(place, locks, key)).toBeUndefined();
    });
    await (await locks.acquire(key, { waitTimeout: 500 })).release();
  });

  test("a wait ends at once with the reason of its signal", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    await using _ = await locks.acquire(key);
    const reason = new Error("enough");
    const aborter = new AbortController();
    await knex.transaction(async (trx) => {
      setTimeout(() => aborter.abort(reason), 100);
      const since = now();
      await expect(lock(trx, key, { signal: aborter.signal })).rejects.toBe(reason);
      expect(now() - since).toBeLessThan(300);
      await expect(lock(trx, key, { signal: aborter.signal })).rejects.toBe(reason);
    });
  });

  test("a try that was given up at any moment does not stand in the way of the next one of its transaction", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    await knex.transaction((trx) => lock(trx, newKey()));
    for (let ms = 0; ms < 12; ms++) {
      await knex.transaction(async (trx) => {
        const signal = AbortSignal.timeout(ms);
        await lock(trx, `${key} ${ms}`, { signal }).catch(() => {});
        await lock(trx, `${key} ${ms}`, { waitTimeout: 1_000 });
      });
      await (await locks.acquire(`${key} ${ms}`, { waitTimeout: 500 })).release();
    }
  });

  test("what is no open transaction, and what is no option, is refused", async () => {
    const { knex, lock, key } = await setUp(place);
    await expect(lock(knex as never, key)).rejects.toThrow(
      /trx: "a knex" is not accepted; expected an open transaction/,
    );
    const trx = await knex.transaction();
    await expect(lock(trx, key, { waitTimout: 1 })).rejects.toThrow(/"waitTimout" is not accepted/);
    await expect(lock(trx, "")).rejects.toThrow(LockConfigError);
    await expect(lock(trx, key, { waitTimeout: -1 })).rejects.toThrow(/waitTimeout: -1/);
    await expect(lock(trx, key, { table: "a b" })).rejects.toThrow(/table: "a b"/);
    await expect(lock(trx, key, { strategy: "none" })).rejects.toThrow(/strategy: "none"/);
    await trx.rollback();
    await expect(lock(trx, key)).rejects.toThrow(/"a transaction that has ended" is not accepted/);
  });
});

describe.each(servers)("$title", (place) => {
  test("the first transactions to use a name do not disturb each other", async () => {
    const { knex, lock } = await setUp(place, { pool: { min: 0, max: 16 } });
    const fresh = Array.from({ length: 5 }, newKey);
    await Promise.all(
      Array.from({ length: 16 }, () =>
        fresh.reduce(async (before, key) => {
          await before;
          await knex.transaction(async (trx) => lock(trx, key, { waitTimeout: 20_000 }));
        }, Promise.resolve()),
      ),
    );
  });

  test("an application that has its whole pool in transactions takes locks in them", async () => {
    const { knex, lock } = await setUp(place, { pool: { min: 0, max: 2 }, acquireConnectionTimeout: 1_000 });
    const both = await Promise.all([knex.transaction(), knex.transaction()]);
    for (const trx of both) await lock(trx, newKey(), { waitTimeout: 2_000 });
    for (const trx of both) await trx.commit();
  });

  test("the lock of a transaction whose connection is killed is free within its two seconds", async () => {
    const { knex, lock, locks, key } = await setUp(place);
    const trx = await knex.transaction();
    await lock(trx, key);
    const [id] = place.name === "postgres" ? ["pg_backend_pid()"] : ["connection_id()"];
    const found: unknown = await trx.select(trx.raw(`${id} as id`)).first();
    const since = now();
    await place.database?.terminate((found as { id: number }).id);
    await (await locks.acquire(key, { waitTimeout: 5_000 })).release();
    expect(now() - since).toBeLessThan(2_700);
    await trx.rollback().catch(() => {});
    await trx.executionPromise.catch(() => {});
  });
});

describe.each(servers.filter(({ strategy }) => strategy === "version"))("$title", (place) => {
  test.each(["repeatable read", "serializable"] as const)(
    "at %s, a transaction that starts with its lock works",
    async (level) => {
      const { knex, table, value, lock, key } = await setUp(place, { pool: { min: 0, max: 8 } });
      await Promise.all(
        Array.from({ length: 8 }, () =>
          knex.transaction(
            async (trx) => {
              await lock(trx, key);
              await trx(table)
                .where({ id: 1 })
                .update({ value: (await value(trx)) + 1 });
            },
            { isolationLevel: level },
          ),
        ),
      );
      expect(await value()).toBe(8);
    },
  );
});

describe.each(
  servers.filter(
    ({ strategy, provider, title }) => strategy !== "advisory" && !provider && !title.includes("pgbouncer"),
  ),
)("$title", (place) => {
  test("our own connections end soon after their last use", async () => {
    const { knex, lock, key } = await setUp(place, { pool: { min: 0, max: 1 } });
    const sessions = async () => (await place.database?.sessions())?.map(({ id }) => id) ?? [];
    const before = await sessions();
    const ours = async () => (await sessions()).filter((id) => !before.includes(id));
    await knex.transaction(async (trx) => {
      await lock(trx, key);
      expect(await ours()).not.toHaveLength(0);
    });
    await expect.poll(ours, { timeout: 4_000 }).toHaveLength(0);
  });
});

describe.each(servers.filter(({ name, strategy }) => name === "postgres" && strategy === "version"))(
  "$title",
  (place) => {
    test.each(["new", "used before"])(
      "at repeatable read, a transaction that has read before is refused a %s key, and goes on",
      async (what) => {
        const { knex, table, value, lock, locks, key } = await setUp(place);
        if (what !== "new") await (await locks.acquire(key)).release();
        await knex.transaction(
          async (trx) => {
            await value(trx);
            await expect(lock(trx, key)).rejects.toThrow(
              /trx: "a snapshot" is not accepted; expected a transaction that takes/,
            );
            await trx(table).where({ id: 1 }).update({ value: 3 });
          },
          { isolationLevel: "repeatable read" },
        );
        expect(await value()).toBe(3);
      },
    );
  },
);

describe.each(servers.filter(({ name, strategy }) => name === "postgres" && strategy !== "version"))(
  "$title",
  (place) => {
    test.each(["repeatable read", "serializable"] as const)(
      "a transaction at %s is refused, and goes on",
      async (level) => {
        const { knex, table, value, lock, key } = await setUp(place);
        await knex.transaction(
          async (trx) => {
            await expect(lock(trx, key)).rejects.toThrow(
              new RegExp(`trx: "${level}" is not accepted; expected a transaction at READ`),
            );
            await trx(table).where({ id: 1 }).update({ value: 3 });
          },
          { isolationLevel: level },
        );
        expect(await value()).toBe(3);
      },
    );
  },
);

describe.each(servers.filter(({ name, strategy }) => name !== "postgres" && strategy === "version"))(
  "$title",
  (place) => {
    test("advisory locks of a transaction are refused: there are none", async () => {
      const { knex, lock, key } = await setUp(place);
      await knex.transaction(async (trx) => {
        const refused = lock(trx, key, { strategy: "advisory" });
        await expect(refused).rejects.toThrow(
          /strategy: "advisory" is not accepted; expected another one: MySQL and MariaDB free/,
        );
      });
    });

    test("a transaction that has read before gets its lock, and goes on seeing what it saw", async () => {
      const { knex, table, value, lock, key } = await setUp(place);
      await knex.transaction(async (trx) => {
        await value(trx);
        await knex(table).update({ value: 5 });
        await lock(trx, key, { waitTimeout: 1_000 });
        expect(await value(trx)).toBe(0);
      });
    });
  },
);

describe.each(places.filter(({ name }) => name === "sqlite"))("$title", (place) => {
  test("a transaction that read or wrote before it asks for its lock is told so", async () => {
    const { knex, table, value, lock, locks, key } = await setUp(place);
    await (await locks.acquire(key)).release();
    await knex.transaction(async (trx) => {
      await value(trx);
      await expect(lock(trx, key)).rejects.toThrow(
        /trx: "a snapshot" is not accepted; expected a transaction that takes its lock/,
      );
    });
    await knex.transaction(async (trx) => {
      await trx(table).update({ value: 5 });
      await expect(lock(trx, key, { waitTimeout: 200 })).rejects.toBeInstanceOf(LockTimeoutError);
    });
    expect(await value()).toBe(5);
  });
});
