import { randomBytes } from "node:crypto";
import { createLocks, LockConfigError } from "@dlock/core";
import { sqlProvider } from "@dlock/sql";
import { isSelected, startPgbouncer } from "@dlock/testbed";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  application,
  keyColumn,
  micros,
  newKey,
  newTable,
  openServers,
  provide,
  type Server,
  until,
} from "./server.js";
import { ask, claim, now, sleep } from "./store.js";

const servers = await openServers("postgres", "mariadb", "mysql");

/** What a transaction does that has the row of a key locked, until the test is over or it says so. */
async function lockRow(server: Server, key: string, table = "dlock_leases"): Promise<() => Promise<void>> {
  const trx = await application(server.database.url).transaction();
  await trx.raw(`SELECT * FROM ${table} WHERE ${keyColumn(server)} = ? FOR UPDATE`, [key]);
  const end = async () => void (await trx.rollback());
  onTestFinished(end);
  return end;
}

describe.each(servers)("strategy version on $name", (server) => {
  const { database, postgres } = server;

  test("a repeat while the lease lasts gives the same token and restarts the lease at the full ttl", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key, 1_000);
    const token = await ask(holder);
    await sleep(300);
    expect(await ask(holder)).toBe(token);
    const seen = (await provider.inspect(key)).holders[0];
    expect(seen?.expiresIn).toBeGreaterThan(800);
    expect(seen?.expiresIn).toBeLessThanOrEqual(1_000);
    expect(seen?.fencingToken).toBe(token);
  });

  test("what a claim takes after its lease ended is another hold, with a larger token", async () => {
    const holder = claim(provide(database.url), newKey(), 50);
    const first = await ask(holder);
    await sleep(80);
    expect(await holder.renew(1_000)).toBe(false);
    expect(await ask(holder)).toBeGreaterThan(first ?? 0n);
  });

  test("a downgrade whose answer was lost goes on as whatever it is by then, and is done when it is asked for again", async () => {
    const link = await database.link();
    onTestFinished(() => link.close());
    const key = newKey();
    const provider = provide(link.url);
    const first = claim(provider, newKey());
    await ask(first);
    await first.downgrade?.();
    const holder = claim(provider, key, 20_000);
    const token = await ask(holder);
    link.dropReplies();
    await expect(holder.downgrade?.()).rejects.toMatchObject({ retryable: true });
    link.cut();
    link.heal();
    expect(await holder.renew(20_000)).toBe(true);
    const reader = claim(provide(database.url), key, 20_000, { mode: "shared" });
    // Elsewhere the answer to the first of two statements was lost.
    expect((await ask(reader)) !== undefined).toBe(postgres);
    expect(await holder.downgrade?.()).toBe(true);
    expect(await ask(holder)).toBe(token);
    expect(await ask(reader)).toBeTypeOf("bigint");
    await Promise.all([holder.release(), reader.release()]);
    expect(await ask(claim(provide(database.url), key))).toBeTypeOf("bigint");
  });

  test("a claim that only waited writes nothing when it is released", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key);
    await ask(holder);
    const waiter = claim(provider, key);
    expect(await ask(waiter)).toBeUndefined();
    await lockRow(server, key);
    const since = now();
    await waiter.release();
    expect(now() - since).toBeLessThan(800);
  });

  test("keys are told apart byte by byte, however long they are", async () => {
    const provider = provide(database.url);
    const long = "k".repeat(440);
    const keys = [
      "a",
      "A",
      "a ",
      "é",
      "e\u0301",
      "ß",
      "ss",
      "ﬀ",
      "'; --",
      '"',
      "??",
      ":key",
      "$1",
      "%",
      "_",
      "\\",
      "日本",
      "😀",
    ];
    keys.push(
      long,
      `${long}0123456789`,
      `${long}01234567890`,
      `${long}01234567891`,
      `${"😀".repeat(112)}a`,
      "😀".repeat(113),
    );
    const random = randomBytes(4_000).toString("hex");
    keys.push(`${random}1`, `${random}2`);
    for (const key of keys) expect(await ask(claim(provider, key))).toBeTypeOf("bigint");
    for (const key of keys) expect(await ask(claim(provider, key))).toBeUndefined();
    for (const key of keys) expect(await provider.forceRelease(key)).toBe(true);
  });

  test("tokens are exact beyond 2^53, and exceed the one before even when the clock went back", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key);
    await ask(holder);
    await holder.release();
    for (const ahead of [2n ** 53n + 2n, 2n ** 60n]) {
      await database.query(`UPDATE dlock_leases SET version = ${ahead} WHERE ${keyColumn(server)} = '${key}'`);
      const next = claim(provider, key);
      expect(await ask(next)).toBe(ahead + 1n);
      expect((await provider.inspect(key)).holders[0]?.fencingToken).toBe(ahead + 1n);
      expect(await ask(next)).toBe(ahead + 1n);
      await next.release();
    }
  });

  test("a raised hold keeps its token, and later ones exceed the floor", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key);
    const token = (await ask(holder)) ?? 0n;
    for (const floor of [2n ** 60n, 2n ** 59n]) {
      expect(await holder.raise?.(floor)).toBe(true);
      expect(await ask(holder)).toBe(token);
    }
    await holder.release();
    expect(await holder.raise?.(2n ** 61n)).toBe(false);
    expect(await ask(claim(provider, key))).toBe(2n ** 60n + 1n);
  });

  test("a row that a transaction has locked is not free, nobody waits for it in the server, and waiters look at it now and then", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key, 100);
    await ask(holder);
    const end = await lockRow(server, key);
    await sleep(150);
    const since = now();
    expect(await ask(claim(provider, key))).toBeUndefined();
    expect(now() - since).toBeLessThan(800);
    const waiter = claim(provider, key);
    const aborter = new AbortController();
    let turns = 0;
    setTimeout(() => aborter.abort(), 1_000);
    while (!aborter.signal.aborted) {
      expect(await ask(waiter)).toBeUndefined();
      await waiter.waitTurn?.(aborter.signal);
      turns++;
    }
    expect(turns).toBeLessThan(40);
    await end();
    expect(await ask(waiter)).toBeTypeOf("bigint");
  });

  test("a row that a transaction inserted and has yet to commit is not free", async () => {
    const provider = provide(database.url);
    await provider.connect();
    const key = newKey();
    const trx = await application(database.url).transaction();
    onTestFinished(async () => void (await trx.rollback()));
    const columns = `${keyColumn(server)}, claim, owner, version, expires, day`;
    await trx.raw(`INSERT INTO dlock_leases (${columns}) VALUES (?, '', '', 1, 0, 0)`, [key]);
    const since = now();
    expect(await ask(claim(provider, key))).toBeUndefined();
    expect(now() - since).toBeLessThan(2_500);
  });

  test("who comes after a transaction had the row locked for longer than a ttl gets all of a ttl", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const dead = claim(provider, key, 50);
    await ask(dead);
    const end = await lockRow(server, key);
    setTimeout(() => void end(), 900);
    const locks = await createLocks(provider);
    const lock = await locks.acquire(key, { ttl: 600 });
    expect((await provider.inspect(key)).holders[0]?.expiresIn).toBeGreaterThan(540);
    expect(await lock.release()).toBe(true);
    await locks.close();
  });

  test("a renewal that waits for a locked row rejects in time, and no ghost of it is left in the server", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key, 60_000);
    await ask(holder);
    await lockRow(server, key);
    const since = now();
    await expect(holder.renew(900)).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    expect(now() - since).toBeLessThan(1_000);
    await until(async () => (await database.sessions()).every(({ waits }) => !waits), 2_000);
  });

  test("16 processes that come to 100 fresh names at once, and to no table, share them out without an error, whatever isolation the database is set to", async () => {
    const levels = postgres
      ? ["read committed", "repeatable read", "serializable"]
      : ["READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"];
    const isolation = server.name === "mysql" ? "transaction_isolation" : "tx_isolation";
    const name = new URL(database.url).pathname.slice(1);
    const set = (level: string) =>
      database.query(
        postgres
          ? `ALTER DATABASE ${name} SET default_transaction_isolation = '${level}'`
          : `SET GLOBAL ${isolation} = '${level}'`,
      );
    onTestFinished(async () => void (await set(postgres ? "read committed" : "REPEATABLE-READ")));
    const pooler =
      postgres && isSelected("pgbouncer") ? await startPgbouncer(database, { default_pool_size: "8" }) : undefined;
    onTestFinished(() => pooler?.stop());
    // Behind a pooler nothing is set in the session, which may be anybody's.
    for (const url of [database.url, ...(pooler ? [pooler.url] : [])]) {
      for (const level of levels) {
        await set(level);
        const table = newTable();
        const providers = Array.from({ length: 16 }, () => sqlProvider({ url }, { table, connections: 2 }));
        const tokens = await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            Promise.all(providers.map((provider) => ask(claim(provider, `fresh ${index}`), 20_000))),
          ),
        );
        for (const one of tokens) expect(one.filter((token) => token !== undefined)).toHaveLength(1);
        await Promise.all(providers.map((provider) => provider.close()));
      }
    }
  }, 120_000);

  test("an application that fills its own pool for two ttl keeps its lock", async () => {
    const knex = application(database.url, { pool: { min: 0, max: 2 }, acquireConnectionTimeout: 100 });
    const locks = await createLocks(sqlProvider(knex));
    onTestFinished(() => locks.close());
    const taken = [await knex.transaction(), await knex.transaction()];
    await expect(knex.raw("SELECT 1")).rejects.toThrow(/Timeout acquiring a connection/);
    const lock = await locks.acquire(newKey(), { ttl: 600 });
    await sleep(1_200);
    lock.throwIfLost();
    expect(await lock.release()).toBe(true);
    for (const trx of taken) await trx.rollback();
  });

  test("an application's pool of two serves its queries while 10 locks are held and 100 waited for, and waiters of 100 keys cost four connections", async () => {
    const before = (await database.sessions()).length;
    const knex = application(database.url, { pool: { min: 0, max: 2 } });
    const provider = sqlProvider(knex);
    const locks = await createLocks(provider);
    onTestFinished(() => locks.close());
    const keys = Array.from({ length: 10 }, newKey);
    const held = await Promise.all(keys.map((key) => locks.acquire(key, { ttl: 1_000 })));
    const waits = Array.from({ length: 100 }, (_, index) => locks.acquire(keys[index % 10] ?? "", { ttl: 2_000 }));
    for (let queries = 0; queries < 50; queries++) {
      const since = now();
      await knex.raw("SELECT 1");
      expect(now() - since).toBeLessThan(1_000);
    }
    expect((await database.sessions()).length - before).toBeLessThanOrEqual(2 + 4);
    for (const lock of held) await lock.release();
    for (const wait of waits) await (await wait).release();
    await provider.close();
  });

  test("a thousand waiters for one key cost one connection", async () => {
    const holder = claim(provide(database.url), "the one key");
    await ask(holder);
    const before = (await database.sessions()).length;
    const provider = provide(database.url);
    const locks = await createLocks(provider);
    const aborter = new AbortController();
    const waits = Array.from({ length: 1_000 }, () =>
      locks.acquire("the one key", { signal: aborter.signal }).catch(() => "abandoned"),
    );
    for (let looks = 0; looks < 10; looks++) {
      await sleep(50);
      expect((await database.sessions()).length - before).toBeLessThanOrEqual(1);
    }
    aborter.abort();
    expect(new Set(await Promise.all(waits))).toEqual(new Set(["abandoned"]));
    await locks.close();
    await holder.release();
  });

  test("no connection is leaked by a thousand cycles of taking, aborting, timing out and killing", async () => {
    const before = (await database.sessions()).map(({ id }) => id);
    const provider = provide(database.url, { connections: 4 });
    const locks = await createLocks(provider);
    const keys = Array.from({ length: 5 }, newKey);
    const mine = async () => (await database.sessions()).filter(({ id }) => !before.includes(id));
    let cycles = 0;
    const cycle = async () => {
      while (cycles++ < 1_000) {
        const key = keys[cycles % keys.length] ?? "";
        const aborter = new AbortController();
        if (cycles % 3 === 1) setTimeout(() => aborter.abort(), Math.random() * 4);
        const options =
          cycles % 3 === 2 ? { waitTimeout: Math.random() * 4 } : { signal: aborter.signal, waitTimeout: 2_000 };
        await locks.acquire(key, options).then(
          (lock) => lock.release(),
          () => {},
        );
        // It may have ended by itself.
        if (cycles % 100 === 0) for (const { id } of await mine()) await database.terminate(id).catch(() => {});
      }
    };
    await Promise.all(Array.from({ length: 8 }, cycle));
    expect((await mine()).length).toBeLessThanOrEqual(4);
    // The first to ask on a connection that was just killed is told so.
    const free = async (key: string) => (await provider.inspect(key).catch(() => undefined))?.holders.length === 0;
    for (const key of keys) await until(() => free(key));
    await locks.close();
    await provider.close();
    await until(async () => (await mine()).length === 0);
  }, 60_000);

  test("rows that were free for a day are deleted, those with a token ahead of the clock and those that are held are not", async () => {
    const table = newTable();
    await provide(database.url, { table }).createSchema();
    const [hour, at] = [3_600_000_000, micros(server)];
    const day = Math.floor(Date.now() / 86_400_000);
    const rows: readonly (readonly [string, string, string, string, number])[] = [
      ["free", "", `${at} - 50 * ${hour}`, "0", day - 2],
      ["dead", "x", `${at} - 50 * ${hour}`, `${at} - 49 * ${hour}`, day - 2],
      ["recent", "", `${at} - 20 * ${hour}`, "0", day - 1],
      ["ahead", "", `${at} + ${hour}`, "0", day - 2],
      ["held", "x", `${at} - 50 * ${hour}`, `${at} + ${hour}`, day - 2],
    ];
    const column = keyColumn(server);
    const insert = ([key, claimed, version, expires, on]: (typeof rows)[number]) =>
      database.query(
        `INSERT INTO ${table} (${column}, claim, owner, version, expires, day) VALUES ('${key}', '${claimed}', '', ${version}, ${expires}, ${on})`,
      );
    for (const row of rows) await insert(row);
    const keys = async () =>
      (await database.query(`SELECT ${column} AS k FROM ${table} ORDER BY ${column}`)).map((row) => String(row["k"]));
    const provider = provide(database.url, { table });
    await provider.connect();
    expect(await keys()).toEqual(["", "ahead", "held", "recent"]);
    if (rows[0]) await insert(rows[0]);
    for (let release = 0; release < 32; release++) {
      const holder = claim(provider, "recent");
      await ask(holder);
      await holder.release();
    }
    expect(await keys()).toEqual(["", "ahead", "held", "recent"]);
  });

  test("neither sweeping nor what concerns another key waits for a row that a transaction has locked", async () => {
    const table = newTable();
    await ask(claim(provide(database.url, { table }), "locked"));
    await lockRow(server, "locked", table);
    const since = now();
    const provider = provide(database.url, { table });
    await provider.connect();
    // Nor does anything about another key.
    const other = claim(provider, "other");
    expect(await ask(other)).toBeTypeOf("bigint");
    expect(await other.renew(1_000)).toBe(true);
    await other.release();
    expect(await ask(other)).toBeUndefined();
    expect(await ask(claim(provider, "other"))).toBeTypeOf("bigint");
    expect(now() - since).toBeLessThan(800);
  });

  test("a table that was dropped is created again, and its holders are told", async () => {
    const table = newTable();
    const provider = provide(database.url, { table });
    const holder = claim(provider, "key");
    const token = await ask(holder);
    await database.query(`DROP TABLE ${table}`);
    expect(await holder.renew(1_000)).toBe(false);
    expect(await ask(claim(provider, "key"))).toBeGreaterThan(token ?? 0n);
  });

  test("somebody else's table and a table of another layout are refused", async () => {
    const [theirs, newer] = [newTable(), newTable()];
    await database.query(`CREATE TABLE ${theirs} (a int)`);
    await expect(provide(database.url, { table: theirs }).connect()).rejects.toMatchObject({
      code: "LOCK_CONFIG",
      field: "table",
    });
    await provide(database.url, { table: newer }).createSchema();
    await database.query(`UPDATE ${newer} SET version = 2 WHERE ${keyColumn(server)} = ''`);
    const provider = provide(database.url, { table: newer });
    for (const use of [() => provider.connect(), () => provider.createSchema(), () => ask(claim(provider, "key"))])
      await expect(use()).rejects.toThrow(/knows layout 2/);
  });

  test("a wrong password, a missing database and a missing right are told as what they are, without the password", async () => {
    const wrong = new URL(database.url);
    wrong.password = "sesame";
    const nowhere = new URL(database.url);
    nowhere.pathname = "/nowhere";
    for (const url of [wrong, nowhere]) {
      const refused = provide(url.href).connect();
      await expect(refused).rejects.toBeInstanceOf(LockConfigError);
      await expect(refused).rejects.not.toThrow(/sesame/);
    }
  });

  test("closing twice does what closing once does, and whatever comes later is told so", async () => {
    const provider = provide(database.url);
    const key = newKey();
    await ask(claim(provider, key));
    const turn = claim(provider, key)
      .waitTurn?.(new AbortController().signal)
      .catch((error: unknown) => error);
    await Promise.all([provider.close(), provider.close()]);
    expect(await turn).toMatchObject({ code: "LOCK_CLOSED" });
    const late = await Promise.allSettled([ask(claim(provider, key)), provider.inspect(key), provider.connect()]);
    for (const one of late) expect(one).toMatchObject({ status: "rejected", reason: { code: "LOCK_CLOSED" } });
  });
});
