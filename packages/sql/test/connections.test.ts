import { spawnHolder } from "@dlock/conformance";
import { createLocks, type LockProvider, type Locks, type ProviderNotice } from "@dlock/core";
import { sqlProvider, type SqlOptions, type SqlProvider } from "@dlock/sql";
import { isSelected, startPgbouncer } from "@dlock/testbed";
import createKnex from "knex";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { application, newKey, newTable, openServers, until } from "./server.js";
import { ask, claim, now, sleep } from "./store.js";

const servers = await openServers("postgres", "mariadb", "mysql");
const places = servers.flatMap((server) =>
  (["for-update", "advisory"] as const).map((strategy) => ({ ...server, strategy })),
);

describe.each(places)("strategy $strategy on $name", ({ database, postgres, strategy }) => {
  const provide = (options: SqlOptions = {}, url = database.url): SqlProvider => {
    const provider = sqlProvider({ url }, { strategy, ...options });
    onTestFinished(() => provider.close());
    return provider;
  };
  const locksOf = async (provider: LockProvider): Promise<Locks> => {
    const locks = await createLocks(provider);
    onTestFinished(() => locks.close());
    return locks;
  };
  const sessions = async () => (await database.sessions()).map(({ id }) => id);
  /** The sessions that were opened since. */
  const newcomers = async () => {
    const before = await sessions();
    return async () => (await sessions()).filter((id) => !before.includes(id));
  };
  const query = (sql: string) => database.query(sql);

  test("the lock of a process that was killed is somebody else's within a second, however long its ttl", async () => {
    const peer = new URL("child/server-peer.mjs", import.meta.url);
    const doomed = await spawnHolder(peer, database.url, JSON.stringify({ strategy }));
    onTestFinished(() => doomed.kill());
    const key = newKey();
    const token = await doomed.acquire(key, { ttl: 60_000 });
    const next = (await locksOf(provide())).acquire(key);
    await sleep(200);
    const killedAt = now();
    await doomed.kill();
    const lock = await next;
    expect(now() - killedAt).toBeLessThan(1_000);
    expect(lock.fencingToken).toBeGreaterThan(token);
    await lock.release();
  });

  test("a session that is ended at the server is a loss that is told at once", async () => {
    const ours = await newcomers();
    const locks = await locksOf(provide());
    const lock = await locks.acquire(newKey(), { ttl: 60_000 });
    const since = now();
    for (const id of await ours()) await database.terminate(id);
    await until(() => lock.signal.aborted, 500);
    expect(now() - since).toBeLessThan(500);
    expect(await lock.release()).toBe(false);
    await (await locks.acquire(newKey())).release();
  });

  test("a thousand waiters for one key cost one connection", async () => {
    const key = newKey();
    const holder = claim(provide(), key);
    await ask(holder);
    const provider = provide();
    await provider.connect();
    const added = await newcomers();
    const locks = await locksOf(provider);
    const aborter = new AbortController();
    const waits = Array.from({ length: 1_000 }, () =>
      locks.acquire(key, { signal: aborter.signal }).catch(() => "abandoned"),
    );
    for (let looks = 0; looks < 10; looks++) {
      await sleep(50);
      expect((await added()).length).toBeLessThanOrEqual(1);
    }
    aborter.abort();
    expect(new Set(await Promise.all(waits))).toEqual(new Set(["abandoned"]));
    await until(async () => (await added()).length === 0);
    await holder.release();
  });

  test("who waits longer than a wait at the server lasts is served all the same", async () => {
    const key = newKey();
    const [holder, waiter] = [claim(provide(), key), claim(provide(), key)];
    await ask(holder);
    expect(await ask(waiter)).toBeUndefined();
    const turn = waiter.waitTurn?.(new AbortController().signal);
    await sleep(5_600);
    await holder.release();
    await turn;
    expect(await ask(waiter)).toBeGreaterThan(0n);
    await waiter.release();
  }, 15_000);

  test("connections are capped, waiting for one counts into waitTimeout, and who waits gets the next", async () => {
    const ours = await newcomers();
    const locks = await locksOf(provide({ connections: 2 }));
    const other = await locksOf(provide());
    const [one, two, three] = [newKey(), newKey(), newKey()];
    // Somebody who waits needs a connection of his own, with either strategy.
    const held = [await other.acquire(one), await other.acquire(two), await other.acquire(three)];
    const waits = [locks.acquire(one), locks.acquire(two)];
    await sleep(300);
    const since = now();
    await expect(locks.acquire(three, { waitTimeout: 300 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    expect(now() - since).toBeLessThan(800);
    const last = locks.acquire(three);
    await sleep(200);
    // Theirs, 2 of ours, and 2 short ones each.
    expect((await ours()).length).toBeLessThanOrEqual((strategy === "advisory" ? 1 : 3) + 2 + 4);
    for (const lock of held) await lock.release();
    for (const wait of waits) await (await wait).release();
    await (await last).release();
  });

  test("no connection is leaked by a thousand cycles of taking, aborting, timing out and killing", async () => {
    const mine = await newcomers();
    const provider = provide({ connections: 4 });
    const locks = await locksOf(provider);
    const keys = Array.from({ length: 3 }, newKey);
    let cycles = 0;
    const cycle = async () => {
      while (cycles++ < 1_000) {
        const key = keys[cycles % keys.length] ?? "";
        const aborter = new AbortController();
        if (cycles % 3 === 1) setTimeout(() => aborter.abort(), Math.random() * 6);
        const options =
          cycles % 3 === 2 ? { waitTimeout: Math.random() * 6 } : { signal: aborter.signal, waitTimeout: 2_000 };
        await locks.acquire(key, options).then(
          (lock) => lock.release(),
          () => {},
        );
        // It may have ended by itself.
        if (cycles % 100 === 0) for (const id of await mine()) await database.terminate(id).catch(() => {});
      }
    };
    await Promise.all(Array.from({ length: 8 }, cycle));
    // Those of locks, two short ones, and one that ends others.
    await until(async () => (await mine()).length <= 4 + 2 + 1);
    for (const key of keys) await (await locks.acquire(key, { waitTimeout: 2_000 })).release();
    await locks.close();
    await provider.close();
    await until(async () => (await mine()).length === 0);
  }, 90_000);

  test("an application that has filled its pool for twice the ttl keeps its lock, and its pool of two serves while 10 locks are held and 100 waited for", async () => {
    const knex = application(database.url, { pool: { min: 0, max: 2 }, acquireConnectionTimeout: 300 });
    const provider = sqlProvider(knex, { strategy });
    onTestFinished(() => provider.close());
    const locks = await locksOf(provider);
    const taken = [await knex.transaction(), await knex.transaction()];
    await expect(knex.raw("SELECT 1")).rejects.toThrow(/Timeout acquiring a connection/);
    const lock = await locks.acquire(newKey(), { ttl: 1_000 });
    await sleep(2 * lock.ttl);
    lock.throwIfLost();
    expect(await lock.release()).toBe(true);
    for (const trx of taken) await trx.rollback();

    const keys = Array.from({ length: 10 }, newKey);
    const held = await Promise.all(keys.map((key) => locks.acquire(key)));
    const waits = Array.from({ length: 100 }, (_, index) => locks.acquire(keys[index % 10] ?? ""));
    for (let queries = 0; queries < 50; queries++) {
      const since = now();
      await knex.raw("SELECT 1");
      expect(now() - since).toBeLessThan(1_000);
    }
    for (const one of held) await one.release();
    for (const wait of waits) await (await wait).release();
  }, 30_000);

  test("of 16 first acquisitions of a name one holds and none fails, whatever isolation level the server has by default", async () => {
    const levels = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
    const set = (level: string) =>
      postgres
        ? query(`ALTER DATABASE postgres SET default_transaction_isolation = '${level.toLowerCase()}'`)
        : query(`SET GLOBAL TRANSACTION ISOLATION LEVEL ${level}`);
    onTestFinished(() => set(postgres ? "READ COMMITTED" : "REPEATABLE READ").then(() => {}));
    for (const level of levels) {
      await set(level);
      const table = newTable();
      const providers = Array.from({ length: 16 }, () => provide({ table }));
      for (let round = 0; round < 100; round++) {
        const key = newKey();
        const claims = providers.map((provider) => claim(provider, key, 10_000));
        const tokens = await Promise.all(claims.map((one) => one.tryAcquire(now() + 10_000)));
        expect(tokens.filter((token) => token !== undefined)).toHaveLength(1);
        await Promise.all(claims.map((one) => one.release()));
      }
      await Promise.all(providers.map((provider) => provider.close()));
    }
  }, 120_000);

  test("who gives up a lock over a link that is dead gives it up from the side, however long its ttl", async () => {
    const link = await database.link();
    const parts = (url: string) => {
      const { hostname: host, port, username: user, password, pathname } = new URL(url);
      return { host, port: Number(port), user, password, database: pathname.slice(1) };
    };
    let way = link.url;
    const knex = createKnex({ client: postgres ? "pg" : "mysql2", connection: () => parts(way) });
    const provider = sqlProvider(knex, { strategy });
    onTestFinished(() => provider.close());
    const [key, other] = [newKey(), provide()];
    const holder = claim(provider, key);
    expect(await ask(holder)).toBeTypeOf("bigint");
    link.freeze();
    way = database.url;
    await holder.release();
    expect(await ask(claim(other, key))).toBeTypeOf("bigint");
    link.heal();
    await link.close();
  });

  test("a raised hold raises the tokens after it, also when somebody who died has counted on, or the row was tidied away", async () => {
    const [provider, key] = [provide(), newKey()];
    for (const meanwhile of ["UPDATE dlock_leases SET claim = 'dead'", "DELETE FROM dlock_leases"]) {
      const [holder, next] = [claim(provider, key), claim(provider, key)];
      const floor = ((await ask(holder)) as bigint) + 10n ** 15n;
      await query(`${meanwhile} WHERE ${postgres ? "key" : "`key`"} = '${key}'`);
      expect(await holder.raise?.(floor)).toBe(true);
      await holder.release();
      expect(await ask(next)).toBeGreaterThan(floor);
      await next.release();
    }
  });

  test("inspect tells who holds, and disturbs nobody", async () => {
    const provider = provide();
    const key = newKey();
    expect(await provider.inspect(key)).toEqual({ key, holders: [], waiters: [] });
    const holder = claim(provider, key);
    const token = await ask(holder);
    const [seen] = (await provide().inspect(key)).holders;
    expect(seen).toEqual({ owner: "test", mode: "exclusive", fencingToken: token });
    await holder.release();
    expect((await provider.inspect(key)).holders).toEqual([]);
  });

  test("what is locked can be told from outside, and does not change from release to release", async () => {
    const claimed = claim(provide({ table: "golden" }), "stock:42");
    await ask(claimed);
    if (strategy === "for-update") {
      const column = postgres ? "key" : "`key`";
      const sql = `SELECT ${column} FROM golden_rows WHERE ${column} = 'stock:42' FOR UPDATE`;
      expect(await query(`${sql} SKIP LOCKED`)).toEqual([]);
      await claimed.release();
      expect(await query(sql)).toHaveLength(1);
    } else {
      const sql = postgres
        ? "SELECT pg_try_advisory_xact_lock(-6814976405851803583) AS taken"
        : "SELECT IS_FREE_LOCK(CONCAT('dlock:', LEFT(SHA2(CONCAT(DATABASE(), 'a16c5710f088f04113f4223f4a741f03e8d9404d11c57ee7f48f42a1a81f5c35'), 256), 48))) AS taken";
      const taken = async () => Number((await query(sql))[0]?.["taken"]);
      expect(await taken()).toBe(0);
      await claimed.release();
      expect(await taken()).toBe(1);
    }
  });

  test("tables that vanish while locks are in use are made again", async () => {
    const table = newTable();
    const locks = await locksOf(provide({ table }));
    const key = newKey();
    const { fencingToken } = await locks.withLock(key, async (lock) => lock);
    await query(`DROP TABLE ${table}`);
    if (strategy === "for-update") await query(`DROP TABLE ${table}_rows`);
    expect((await locks.acquire(key, { waitTimeout: 3_000 })).fencingToken).toBeGreaterThan(fencingToken);
  });

  // PostgreSQL counts the time of idle connections in milliseconds.
  test.skipIf(postgres)("a ttl is a whole number of seconds, which is told once", async () => {
    const notices: ProviderNotice[] = [];
    const locks = await locksOf(provide({ emit: (notice) => notices.push(notice) }));
    for (let times = 0; times < 2; times++) {
      const lock = await locks.acquire(newKey(), { ttl: 1_200 });
      expect(lock.ttl).toBe(2_000);
      await lock.release();
    }
    expect(notices).toMatchObject([{ code: "TTL_RAISED", key: expect.any(String) }]);
  });

  test.runIf(strategy === "advisory")(
    "a thousand locks that are held need one connection, and exclude all the same",
    async () => {
      const ours = await newcomers();
      const locks = await locksOf(provide());
      const keys = Array.from({ length: 1_000 }, newKey);
      const held = await Promise.all(keys.map((key) => locks.acquire(key)));
      // And two for short statements.
      expect((await ours()).length).toBeLessThanOrEqual(1 + 2);
      const other = await locksOf(provide());
      for (const key of keys.slice(0, 20)) {
        expect(await locks.tryAcquire(key)).toBeUndefined();
        expect(await other.tryAcquire(key)).toBeUndefined();
      }
      await Promise.all(held.map((lock) => lock.release()));
      for (const key of keys.slice(0, 20)) await (await other.acquire(key, { waitTimeout: 1_000 })).release();
    },
    60_000,
  );
});

describe.runIf(isSelected("pgbouncer") && isSelected("postgres"))("behind pgbouncer", async () => {
  const database = servers.find(({ postgres }) => postgres)?.database;
  if (database === undefined || !isSelected("pgbouncer")) return;
  const pgbouncer = await startPgbouncer(database);
  afterAll(() => pgbouncer.stop());

  test.each(["for-update", "advisory"] as const)("%s refuses with a sentence that says why", async (strategy) => {
    const provider = sqlProvider({ url: pgbouncer.url }, { strategy });
    onTestFinished(() => provider.close());
    const locks = await createLocks(provider);
    const refusal = { code: "LOCK_CONFIG", field: "strategy", message: expect.stringContaining("pooler") };
    await expect(locks.tryAcquire(newKey())).rejects.toMatchObject(refusal);
    await expect(locks.acquire(newKey())).rejects.toMatchObject(refusal);
    await expect(provider.connect()).rejects.toMatchObject(refusal);
    // Not one setting of a session was changed that somebody else uses now.
    const knex = application(pgbouncer.url);
    const { rows } = await knex.raw("SELECT current_setting('lock_timeout') AS value");
    expect(rows).toEqual([{ value: "0" }]);
  });
});
