import { spawnHolder } from "@dlock/conformance";
import { createLocks, type LockProvider, type Locks } from "@dlock/core";
import { lockInTransaction, sqlProvider, type SqlOptions, type SqlProvider } from "@dlock/sql";
import { describe, expect, onTestFinished, test } from "vitest";
import { application, newKey, newTable, openServers, until } from "./server.js";
import { ask, claim, now, sleep } from "./store.js";

const servers = await openServers("postgres", "mariadb", "mysql");
const places = servers.flatMap((server) =>
  (server.postgres ? (["for-update", "advisory"] as const) : (["for-update"] as const)).map((strategy) => ({
    ...server,
    strategy,
  })),
);
const shared = { mode: "shared" } as const;

const locksOf = async (provider: LockProvider): Promise<Locks> => {
  const locks = await createLocks(provider);
  onTestFinished(() => locks.close());
  return locks;
};

describe.each(places)("strategy $strategy on $name", ({ database, postgres, strategy }) => {
  const provide = (options: SqlOptions = {}): SqlProvider => {
    const provider = sqlProvider({ url: database.url }, { strategy, ...options });
    onTestFinished(() => provider.close());
    return provider;
  };

  test("each reader of a key has a connection of its own, and gives it back", async () => {
    const before = (await database.sessions()).map(({ id }) => id);
    const ours = async () => (await database.sessions()).filter(({ id }) => !before.includes(id)).length;
    const provider = provide({ connections: 3 });
    const locks = await locksOf(provider);
    const key = newKey();
    const readers = [
      await locks.acquire(key, shared),
      await locks.acquire(key, shared),
      await locks.acquire(key, shared),
    ];
    expect(await ours()).toBeGreaterThanOrEqual(3);
    await expect(locks.acquire(key, { ...shared, waitTimeout: 300 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    const next = locks.acquire(key, shared);
    await readers[0]?.release();
    await (await next).release();
    for (const reader of readers.slice(1)) expect(await reader.release()).toBe(true);
    await (await locks.acquire(key, { waitTimeout: 1_000 })).release();
    await locks.close();
    await provider.close();
    await until(async () => (await ours()) === 0);
  });

  test("a writer that waits gets in although readers never end, and they go on after it", async () => {
    const key = newKey();
    let [inside, entered, stopped] = [0, 0, false];
    const stream = async (delay: number) => {
      const locks = await locksOf(provide());
      await sleep(delay);
      while (!stopped) {
        await locks.withLock(key, shared, async () => {
          inside += 1;
          entered += 1;
          await sleep(150);
          inside -= 1;
        });
      }
    };
    const streams = [0, 50, 100].map((delay) => stream(delay));
    const writer = await locksOf(provide());
    for (let round = 0; round < 3; round++) {
      const seen = entered;
      await until(() => entered >= seen + 4);
      const lock = await writer.acquire(key, { waitTimeout: 2_000 });
      expect(inside).toBe(0);
      await lock.release();
    }
    stopped = true;
    await Promise.all(streams);
  });

  test("a reader that waits is served by the server at once, and leaves no connection behind when it gives up", async () => {
    const key = newKey();
    const [holder, waiter] = [await locksOf(provide()), await locksOf(provide())];
    const lock = await holder.acquire(key);
    const before = (await database.sessions()).map(({ id }) => id);
    const aborter = new AbortController();
    const given = waiter.acquire(key, { ...shared, signal: aborter.signal }).catch(() => "abandoned");
    await sleep(200);
    aborter.abort();
    expect(await given).toBe("abandoned");
    // The two for short statements may stay.
    await until(async () => (await database.sessions()).filter(({ id }) => !before.includes(id)).length <= 2);
    const served = waiter.acquire(key, shared);
    await sleep(200);
    const since = now();
    await lock.release();
    const reader = await served;
    expect(now() - since).toBeLessThan(500);
    await reader.release();
  });

  test("readers keep transactions out, and a transaction keeps readers out", async () => {
    const table = newTable();
    const locks = await locksOf(provide({ table }));
    const knex = application(database.url);
    const key = newKey();
    const take = (waitTimeout: number) =>
      knex.transaction(
        async (trx) => {
          await lockInTransaction(trx, key, { strategy, table, waitTimeout });
          expect(await locks.tryAcquire(key, shared)).toBeUndefined();
        },
        { isolationLevel: "read committed" },
      );
    const readers = [await locks.acquire(key, shared), await locks.acquire(key, shared)];
    for (const reader of readers) {
      await expect(take(200)).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
      await reader.release();
    }
    await take(1_000);
    await (await locks.acquire(key, { ...shared, waitTimeout: 1_000 })).release();
  });

  test("the place of a reader that was killed is free at once, and nobody sees it any more", async () => {
    const peer = new URL("child/server-peer.mjs", import.meta.url);
    const doomed = await spawnHolder(peer, database.url, JSON.stringify({ strategy }));
    onTestFinished(() => doomed.kill());
    const provider = provide();
    const locks = await locksOf(provider);
    const key = newKey();
    await doomed.acquire(key, { ttl: 60_000, ...shared });
    const reader = await locks.acquire(key, shared);
    expect((await provider.inspect(key)).holders).toHaveLength(2);
    await doomed.kill();
    await until(async () => (await provider.inspect(key)).holders.length === 1, 1_000);
    expect((await provider.inspect(key)).holders[0]?.fencingToken).toBe(reader.fencingToken);
    await reader.release();
    await (await locks.acquire(key, { waitTimeout: 1_000 })).release();
  });

  test("readers leave nothing behind, and what they need is made again when it vanishes", async () => {
    const table = newTable();
    const locks = await locksOf(provide({ table }));
    const key = newKey();
    for (let round = 0; round < 2; round++) {
      const readers = [await locks.acquire(key, shared), await locks.acquire(key, shared)];
      expect(await database.query(`SELECT claim FROM ${table}_readers`)).toHaveLength(2);
      for (const reader of readers) await reader.release();
      expect(await database.query(`SELECT claim FROM ${table}_readers`)).toEqual([]);
      await database.query(`DROP TABLE ${table}_readers`);
    }
  });

  test("what a reader needs raised is raised, although another one drew the last token", async () => {
    const provider = provide();
    const key = newKey();
    const [first, second] = [claim(provider, key, 60_000, shared), claim(provider, key, 60_000, shared)];
    await ask(first);
    const floor = ((await ask(second)) ?? 0n) + 10n ** 12n;
    expect(await first.raise?.(floor)).toBe(true);
    await first.release();
    await second.release();
    const next = claim(provider, key);
    expect(await ask(next)).toBeGreaterThan(floor);
    await next.release();
  });

  test.runIf(strategy === "advisory")("a hold is downgraded although a writer waits, who goes on waiting", async () => {
    const key = newKey();
    const [here, there] = [provide(), provide()];
    const holder = claim(here, key);
    const token = await ask(holder);
    const writer = await locksOf(there);
    let written = false;
    const write = writer.acquire(key).then((lock) => ((written = true), lock));
    await until(async () => (await database.sessions()).some(({ waits }) => waits));
    const since = now();
    expect(await holder.downgrade?.()).toBe(true);
    expect(now() - since).toBeLessThan(1_000);
    expect(await ask(holder)).toBe(token);
    expect(await there.inspect(key)).toMatchObject({ holders: [{ mode: "shared", fencingToken: token }] });
    await sleep(200);
    expect(written).toBe(false);
    await holder.release();
    await (await write).release();
  });

  test.runIf(strategy === "for-update")("a hold cannot be downgraded, and is what it was", async () => {
    const locks = await locksOf(provide());
    const lock = await locks.acquire(newKey());
    await expect(lock.downgrade()).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "downgrade" });
    expect(lock.mode).toBe("exclusive");
    expect(await lock.release()).toBe(true);
  });

  test.runIf(postgres)("where the tables are, no right to create one is needed", async () => {
    const table = newTable();
    await provide({ table }).createSchema();
    const role = `plain_${table}`;
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'plain'`);
    onTestFinished(async () => {
      await database.query(`DROP OWNED BY ${role}`);
      await database.query(`DROP ROLE ${role}`);
    });
    await database.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`);
    const url = new URL(database.url);
    [url.username, url.password] = [role, "plain"];
    const provider = sqlProvider({ url: url.href }, { strategy, table });
    onTestFinished(() => provider.close());
    for (const mode of ["shared", "exclusive"] as const) {
      const holder = claim(provider, newKey(), 60_000, { mode });
      expect(await ask(holder)).toBeGreaterThan(0n);
      await holder.release();
    }
  });

  test.runIf(postgres)("semaphores are refused", async () => {
    const locks = await locksOf(provide());
    await expect(locks.acquire(newKey(), { limit: 2 })).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "limit" });
  });
});

describe.each(servers.filter(({ postgres }) => !postgres))("strategy advisory on $name", ({ database }) => {
  test("readers are refused: there is no such lock by name", async () => {
    const provider = sqlProvider({ url: database.url }, { strategy: "advisory" });
    onTestFinished(() => provider.close());
    expect(provider.guarantees.modes).toEqual(["exclusive"]);
    const locks = await locksOf(provider);
    await expect(locks.acquire(newKey(), shared)).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "mode" });
  });
});
