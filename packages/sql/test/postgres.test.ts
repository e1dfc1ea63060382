import { createLocks, LockConfigError } from "@dlock/core";
import { sqlProvider } from "@dlock/sql";
import { isSelected, startPgbouncer, startPostgres } from "@dlock/testbed";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { application, newKey, provide, until } from "./server.js";
import { ask, claim, now, sleep } from "./store.js";

const notify = { notify: true } as const;

describe.runIf(isSelected("postgres"))("on postgres, strategy version", async () => {
  if (!isSelected("postgres")) return;
  // Otherwise written to the disk several times a second.
  const database = await startPostgres({ wal_writer_delay: "10s" });
  afterAll(() => database.stop());

  async function setStandby(name: string): Promise<void> {
    await database.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
    await database.query("SELECT pg_reload_conf()");
    await until(
      async () => (await database.query("SHOW synchronous_standby_names"))[0]?.["synchronous_standby_names"] === name,
    );
    await sleep(50);
  }

  test("a release does not wait for the commit to be safe, an acquisition and a renewal do", async () => {
    const provider = provide(database.url);
    const [held, released] = [claim(provider, newKey()), claim(provider, newKey())];
    await Promise.all([ask(held), ask(released)]);
    await setStandby("nobody");
    onTestFinished(() => setStandby(""));
    const since = now();
    await released.release();
    expect(now() - since).toBeLessThan(1_000);
    await expect(ask(claim(provider, newKey()), 500)).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    await expect(held.renew(1_200)).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
  });

  test("a release that a crash of the server undid leaves the lease to its ttl, and no token is given twice", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key, 2_500);
    const token = await ask(holder);
    await holder.release();
    await database.server.restart({ keepData: true });
    // Nobody lost anything but time.
    expect((await provider.inspect(key)).holders[0]?.fencingToken).toBe(token);
    const locks = await createLocks(provider);
    const lock = await locks.acquire(key, { waitTimeout: 4_000 });
    expect(lock.fencingToken).toBeGreaterThan(token ?? 0n);
    await locks.close();
  });

  test("with notify, waiters are told of a release and look no oftener than every two seconds meanwhile", async () => {
    const [here, there] = [provide(database.url, notify), provide(database.url, notify)];
    for (const key of [newKey(), "k".repeat(900)]) {
      const holder = claim(here, key);
      await ask(holder);
      const waiter = claim(there, key);
      const turn = waiter.waitTurn?.(new AbortController().signal);
      await until(async () => (await database.sessions()).some(({ statement }) => statement.startsWith("LISTEN")));
      const looks = async () =>
        Number(
          (await database.query("SELECT idx_scan AS n FROM pg_stat_user_tables WHERE relname = 'dlock_leases'"))[0]?.[
            "n"
          ],
        );
      // Figures come late.
      await sleep(2_500);
      const before = await looks();
      await sleep(3_000);
      expect((await looks()) - before).toBeLessThan(6);
      const since = now();
      await holder.release();
      await turn;
      expect(now() - since).toBeLessThan(250);
      expect(await ask(waiter)).toBeTypeOf("bigint");
      await waiter.release();
    }
  });

  test("with notify, a waiter whose listening was cut off is served all the same, and listens again", async () => {
    const [here, there] = [provide(database.url, notify), provide(database.url, notify)];
    const key = newKey();
    const holder = claim(here, key);
    await ask(holder);
    const locks = await createLocks(there);
    const next = locks.acquire(key);
    const listener = async () =>
      (await database.sessions()).find(({ statement }) => statement.startsWith("LISTEN"))?.id;
    await until(async () => (await listener()) !== undefined);
    const first = (await listener()) ?? 0;
    await database.terminate(first);
    await holder.release();
    await (await next).release();
    await until(async () => ![undefined, first].includes(await listener()));
    await locks.close();
  });

  test("with notify, a forced release is told too", async () => {
    const provider = provide(database.url, notify);
    const key = newKey();
    await ask(claim(provider, key));
    const turn = claim(provider, key).waitTurn?.(new AbortController().signal);
    await sleep(700);
    const since = now();
    expect(await provider.forceRelease(key)).toBe(true);
    await turn;
    expect(now() - since).toBeLessThan(250);
    expect(await provider.forceRelease(key)).toBe(false);
  });

  test.runIf(isSelected("pgbouncer"))(
    "notify is refused behind a transaction pooler, where nobody would hear it",
    async () => {
      const pooler = await startPgbouncer(database);
      onTestFinished(() => pooler.stop());
      const provider = provide(pooler.url, notify);
      await expect(provider.connect()).rejects.toThrow(
        /notify: true is not accepted.*through a transaction pooler LISTEN hears nothing/,
      );
      const key = newKey();
      await ask(claim(provide(database.url), key));
      const waiter = provide(pooler.url, notify);
      const locks = await createLocks(waiter);
      await expect(locks.acquire(key)).rejects.toBeInstanceOf(LockConfigError);
      await locks.close();
    },
  );

  test.runIf(isSelected("pgbouncer"))(
    "behind a transaction pooler nothing is left in the sessions that others share",
    async () => {
      const pooler = await startPgbouncer(database, { default_pool_size: "1" });
      onTestFinished(() => pooler.stop());
      const provider = provide(pooler.url);
      const holder = claim(provider, newKey());
      await ask(holder);
      await holder.renew(1_000);
      await holder.release();
      const knex = application(pooler.url);
      const query = async (sql: string) => ((await knex.raw(sql)) as { rows: object[] }).rows;
      // The driver's own among them: it is what the pooler sees to.
      const set = await query(
        "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'client_encoding'",
      );
      expect(set).toEqual([]);
      expect(await query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).toEqual([]);
    },
  );

  test("a role that may not create tables uses the ones that are there, and is told when they are not", async () => {
    for (const strategy of ["version", "for-update", "advisory"] as const) {
      const owner = sqlProvider({ url: database.url }, { strategy });
      await owner.createSchema();
      await owner.close();
    }
    await database.query("CREATE ROLE modest LOGIN PASSWORD 'modest'");
    await database.query(
      "GRANT SELECT, INSERT, UPDATE, DELETE ON dlock_leases, dlock_leases_holders, dlock_leases_rows, dlock_leases_readers TO modest",
    );
    onTestFinished(async () => void (await database.query("DROP OWNED BY modest; DROP ROLE modest")));
    const url = new URL(database.url);
    [url.username, url.password] = ["modest", "modest"];
    for (const strategy of ["version", "for-update", "advisory"] as const) {
      const locks = await createLocks(sqlProvider({ url: url.href }, { strategy }));
      expect(await locks.withLock(newKey(), () => "had it")).toBe("had it");
      await locks.close();
    }
    await expect(provide(url.href, { table: "nobodys" }).connect()).rejects.toThrow(
      /permission denied for schema public/,
    );
  });
});
