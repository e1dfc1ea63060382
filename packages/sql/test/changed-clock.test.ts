import { createLocks } from "@dlock/core";
import { lockInTransaction, sqlProvider, type Strategy } from "@dlock/sql";
import { isSelected, type MysqlConfig } from "@dlock/testbed";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { acrossChange, type Change, changes, obstacles, setBefore, startInBerlin, timeOf } from "./changed-clock.js";
import { now as clock } from "../src/mysql-dialect.js";
import { startPooler } from "./pooler.js";
import { application, micros, newKey, newTable, provide, type ServerName } from "./server.js";
import { ask, claim, sleep } from "./store.js";

const ttl = 60_000;
/** Those that are selected. */
const start = (names: readonly ServerName[], config: MysqlConfig = {}) =>
  Promise.all(
    names
      .filter((name) => isSelected(name))
      .map(async (name) => {
        const database = await startInBerlin(name, config);
        afterAll(() => database.stop());
        return { name, database };
      }),
  );
const servers = await start(["mariadb", "mysql"]);
const frozen = await start(["mariadb", "mysql"], { "sysdate-is-now": "ON" });
const postgres = await start(["postgres"]);
const everyChange = Object.keys(changes) as Change[];
const ways = everyChange.flatMap((change) =>
  (["directly", "behind a pooler"] as const).flatMap((way) =>
    (Object.keys(obstacles) as (keyof typeof obstacles)[]).map((obstacle) => ({ change, way, obstacle })),
  ),
);

describe.each(servers)("$name in a zone with summer time", ({ database }) => {
  // In a container, or without libfaketime, which only root on Debian gets installed.
  const moving = test.skipIf(database.server.clock === undefined);
  const endOf = async (table: string, key: string, column = "`key`") => {
    const [row] = await database.query(`SELECT expires FROM ${table} WHERE ${column} = ?`, [key]);
    return Number(row?.["expires"]) / 1_000;
  };

  moving.each(ways)("$change while statements wait for $obstacle, $way", async ({ change, obstacle, way }) => {
    const { enter, leave } = obstacles[obstacle];
    const table = newTable();
    const url = way === "directly" ? database.url : await startPooler(database);
    await setBefore(database, change, 5_000);
    const [one, other] = [provide(url, { table, connections: 8 }), provide(url, { table, connections: 8 })];
    const [free, gone, held, read, counted] = [newKey(), newKey(), newKey(), newKey(), newKey()];
    // Created before, as are the connections and the rows.
    await Promise.all([one.createSchema(), other.connect()]);
    const [holder, reader, before] = [
      claim(one, held, ttl),
      claim(one, read, ttl, { mode: "shared" }),
      claim(one, gone),
    ];
    const permits = [1, 2].map(() => claim(one, counted, ttl, { limit: 2 }));
    const last = (await ask(before)) ?? 0n;
    await before.release();
    await Promise.all([holder, reader, ...permits].map(async (each) => expect(await ask(each)).toBeTypeOf("bigint")));

    const [fresh, again, thief] = [claim(other, free, ttl), claim(other, gone, ttl), claim(other, held, ttl)];
    const [second, writer, third] = [
      claim(other, read, ttl, { mode: "shared" }),
      claim(other, read, ttl),
      claim(other, counted, ttl, { limit: 2 }),
    ];
    const answers: Promise<unknown>[] = [];
    const wentOn = await acrossChange(database, change, [enter(table), leave], () => {
      answers.push(...[fresh, again, thief, second, writer, third].map((each) => ask(each)));
      answers.push(...[holder, reader, ...permits].map((each) => each.renew(ttl)));
    });
    const [token, next, stolen, joined, written, admitted, ...renewed] = await Promise.all(answers);
    const now = await timeOf(database);

    expect(renewed).toEqual([true, true, true, true]);
    expect([stolen, written, admitted]).toEqual([undefined, undefined, undefined]);
    expect(joined).toBeTypeOf("bigint");
    expect(Number(token) / 1_000).toBeGreaterThan(wentOn - 1);
    expect(Number(token) / 1_000).toBeLessThanOrEqual(now);
    expect(next).toBeGreaterThan(last);
    // By a clock that was read when the statement went on.
    for (const key of [free, gone, held, read, counted]) {
      expect(await endOf(table, key)).toBeGreaterThan(wentOn - 1 + ttl);
      expect(await endOf(table, key)).toBeLessThanOrEqual(now + ttl + 1);
    }
    // Everybody who holds goes on holding, and keeps others out.
    const holders = [fresh, again, holder, reader, second, ...permits];
    for (const each of holders) expect(await each.renew(ttl)).toBe(true);
    for (const key of [free, gone, held, read]) expect(await ask(claim(other, key))).toBeUndefined();
    expect(await ask(claim(other, counted, ttl, { limit: 2 }))).toBeUndefined();
    await again.release();
    expect(await ask(claim(one, gone, ttl))).toBeGreaterThan(next as bigint);
  });

  moving.each(everyChange)("%s while a renewal waits for a row that a transaction has locked", async (change) => {
    const [key, table] = [newKey(), newTable()];
    await setBefore(database, change, 5_000);
    const provider = provide(database.url, { table });
    const holder = claim(provider, key, ttl);
    const token = await ask(holder);
    let renewing = Promise.resolve(false);
    const lock = `SELECT * FROM ${table} WHERE \`key\` = '${key}' FOR UPDATE`;
    const trx = await application(database.url).transaction();
    await trx.raw(lock);
    const wentOn = await acrossChange(database, change, ["SELECT 1", "SELECT 1"], () => {
      renewing = holder.renew(ttl);
    });
    await trx.commit();
    expect(await renewing).toBe(true);
    expect(await endOf(table, key)).toBeGreaterThan(wentOn + ttl - 1);
    expect(await endOf(table, key)).toBeLessThanOrEqual((await timeOf(database)) + ttl);
    expect(await ask(claim(provider, key))).toBeUndefined();
    expect(await ask(holder)).toBe(token);
  });

  moving.each(everyChange)("%s while short holds are renewed and waited for", async (change) => {
    const [kept, dead, table] = [newKey(), newKey(), newTable()];
    await setBefore(database, change, 2_000);
    const provider = provide(database.url, { table });
    const locks = await createLocks(provider, { ttl: 900 });
    onTestFinished(() => locks.close());
    const keeping = await locks.acquire(kept);
    const abandoned = (await ask(claim(provider, dead, 3_000))) ?? 0n;
    const since = performance.now();
    const taken = await locks.acquire(dead, { waitTimeout: 10_000 });
    expect(performance.now() - since).toBeGreaterThan(2_500);
    expect(taken.fencingToken).toBeGreaterThan(abandoned);
    expect(await ask(claim(provider, kept))).toBeUndefined();
    await sleep(1_000);
    expect([keeping.signal.aborted, taken.signal.aborted]).toEqual([false, false]);
  });

  moving.each(
    everyChange.flatMap((change) => (["for-update", "advisory"] as const).map((strategy) => ({ change, strategy }))),
  )(
    "$change while a token is drawn for $strategy",
    async ({ change, strategy }: { readonly change: Change; readonly strategy: Strategy }) => {
      const [key, table] = [newKey(), newTable()];
      await setBefore(database, change, 5_000);
      const provider = sqlProvider({ url: database.url }, { table, strategy });
      onTestFinished(() => provider.close());
      await provider.createSchema();
      const [one, two] = [claim(provider, key, 5_000), claim(provider, key, 5_000)];
      const held = claim(provider, newKey(), 5_000);
      await ask(held);
      let asked: Promise<bigint | undefined> = Promise.resolve(undefined);
      const wentOn = await acrossChange(database, change, [`LOCK TABLES ${table} READ`, "UNLOCK TABLES"], () => {
        asked = ask(one);
      });
      const token = (await asked) ?? 0n;
      expect(Number(token) / 1_000).toBeGreaterThan(wentOn - 1);
      expect(Number(token) / 1_000).toBeLessThanOrEqual(await timeOf(database));
      expect(await ask(two)).toBeUndefined();
      await one.release();
      expect(await ask(two)).toBeGreaterThan(token);
    },
  );

  moving.each(everyChange)(
    "%s in a session that kept its zone: the clock is the start of the statement",
    async (change) => {
      const knex = application(database.url, { pool: { min: 1, max: 1 } });
      await knex.raw("SELECT 1");
      await setBefore(database, change, 250);
      const [[row]] = (await knex.raw(
        `SELECT SLEEP(0.5) AS slept, CAST(${clock} AS CHAR) AS clock, CAST(${micros({ postgres: false })} AS CHAR) AS start, CAST(SYSDATE(6) AS CHAR) AS local`,
      )) as readonly [readonly Readonly<Record<string, string>>[]];
      expect(row?.["clock"]).toBe(row?.["start"]);
      expect(row?.["local"]).toContain(change === "summer time ends" ? " 02:00:00" : " 03:00:00");
    },
  );

  test("the server gets another zone while locks are held", async () => {
    const [key, table] = [newKey(), newTable()];
    const provider = provide(database.url, { table });
    const holder = claim(provider, key, ttl);
    const token = await ask(holder);
    onTestFinished(async () => void (await database.query("SET GLOBAL time_zone = 'SYSTEM'")));
    for (const zone of ["+13:00", "-12:00", "SYSTEM"]) {
      await database.query(`SET GLOBAL time_zone = '${zone}'`);
      for (const url of [database.url, await startPooler(database)]) {
        const newcomer = provide(url, { table });
        expect(await ask(claim(newcomer, key))).toBeUndefined();
        const other = claim(newcomer, newKey(), ttl);
        expect(Number(await ask(other)) / 1_000 - (await timeOf(database))).toBeLessThanOrEqual(0);
        expect(await other.renew(ttl)).toBe(true);
      }
      expect(await holder.renew(ttl)).toBe(true);
    }
    expect(await ask(holder)).toBe(token);
  });

  test("connections of a lent knex whose clock the application has stopped, a month ahead and in another zone", async () => {
    const [key, table] = [newKey(), newTable()];
    const provider = provide(database.url, { table });
    const holder = claim(provider, key, ttl);
    const token = (await ask(holder)) ?? 0n;
    // As old as a day, for the sweep to look at.
    await database.query(`UPDATE ${table} SET day = day - 5`);
    const lent = sqlProvider(stopped(database.url), { table });
    onTestFinished(() => lent.close());
    await lent.connect();
    expect(await ask(claim(lent, key))).toBeUndefined();
    expect(await holder.renew(ttl)).toBe(true);
    const other = claim(lent, newKey(), ttl);
    expect(Number(await ask(other)) / 1_000 - (await timeOf(database))).toBeLessThanOrEqual(0);
    expect(await ask(holder)).toBe(token);
  });

  test.each(["version", "for-update"] as const)(
    "a transaction of the application's with a zone and a time of its own, under %s",
    async (strategy) => {
      const [key, table] = [newKey(), newTable()];
      const provider = sqlProvider({ url: database.url }, { table, strategy });
      onTestFinished(() => provider.close());
      const before = claim(provider, key, 5_000);
      const token = (await ask(before)) ?? 0n;
      const knex = application(database.url);
      for (const time of ["1", "UNIX_TIMESTAMP('2037-07-01')"]) {
        const trx = await knex.transaction();
        await trx.raw(`SET time_zone = '+13:00'`);
        await trx.raw(`SET timestamp = ${time}`);
        if (time === "1") {
          await expect(lockInTransaction(trx, key, { strategy, table, waitTimeout: 100 })).rejects.toThrow(/.../);
          await before.release();
        }
        await lockInTransaction(trx, key, { strategy, table });
        const rival = claim(provider, key, 5_000);
        expect(await ask(rival)).toBeUndefined();
        await trx.commit();
        expect(await ask(rival)).toBeGreaterThan(token);
        await rival.release();
      }
    },
  );
});

describe.each(frozen)("$name whose clock stands still during a statement", ({ database }) => {
  test.skipIf(database.server.clock === undefined).each(everyChange)("%s while statements wait", async (change) => {
    const [held, free, table] = [newKey(), newKey(), newTable()];
    await setBefore(database, change, 5_000);
    const provider = provide(database.url, { table, connections: 8 });
    const [holder, fresh] = [claim(provider, held, ttl), claim(provider, free, ttl)];
    const token = await ask(holder);
    let answers: Promise<unknown>[] = [];
    const wentOn = await acrossChange(database, change, [`LOCK TABLES ${table} READ`, "UNLOCK TABLES"], () => {
      answers = [holder.renew(ttl), ask(claim(provider, held)), ask(fresh)];
    });
    expect(await Promise.all(answers)).toEqual([true, undefined, expect.any(BigInt)]);
    // Counted from the start of the statement, hence from after it was sent.
    const ends = await database.query(`SELECT expires FROM ${table} WHERE \`key\` IN (?, ?)`, [held, free]);
    for (const { expires } of ends) {
      expect(Number(expires) / 1_000).toBeGreaterThan(wentOn - 700 + ttl);
      expect(Number(expires) / 1_000).toBeLessThanOrEqual((await timeOf(database)) + ttl);
    }
    expect(await ask(holder)).toBe(token);
  });

  test("a lent knex has stopped the clock for good", async () => {
    const [key, table] = [newKey(), newTable()];
    const holder = claim(provide(database.url, { table }), key, ttl);
    await ask(holder);
    const lent = sqlProvider(stopped(database.url), { table });
    onTestFinished(() => lent.close());
    expect(await ask(claim(lent, key))).toBeUndefined();
    expect(await holder.renew(ttl)).toBe(true);
  });
});

// Nothing there knows a zone, whatever the roles and the database have set.
describe.each(postgres)("$name in a zone with summer time", ({ database }) => {
  test.skipIf(database.server.clock === undefined).each(everyChange)("%s while statements wait", async (change) => {
    const [held, table] = [newKey(), newTable()];
    await setBefore(database, change, 5_000);
    const provider = provide(database.url, { table });
    const holder = claim(provider, held, ttl);
    const token = await ask(holder);
    await setBefore(database, change, 250);
    const trx = await application(database.url).transaction();
    await trx(table).where({ key: held }).forUpdate();
    const renewing = holder.renew(ttl);
    await sleep(500);
    await trx.commit();
    expect(await renewing).toBe(true);
    const [row] = await database.query(`SELECT expires FROM ${table} WHERE key = $1`, [held]);
    const left = Number(row?.["expires"]) / 1_000 - (await timeOf(database));
    expect(left).toBeGreaterThan(ttl - 1_000);
    expect(left).toBeLessThanOrEqual(ttl);
    expect(await ask(claim(provider, held))).toBeUndefined();
    expect(await ask(holder)).toBe(token);
  });
});

/** A knex whose application has stopped the clock of its connections, a month ahead and in another zone. */
function stopped(url: string) {
  const afterCreate = (
    raw: { query(sql: string, done: (error: unknown) => void): void },
    done: (error: unknown) => void,
  ) => raw.query(`SET time_zone = '-12:00', timestamp = UNIX_TIMESTAMP() + ${30 * 86_400}`, done);
  return application(url, { pool: { min: 0, max: 2, afterCreate } });
}
