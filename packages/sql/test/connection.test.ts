import { createRequire } from "node:module";
import { createLocks, LockBackendError } from "@dlock/core";
import { sqlProvider } from "@dlock/sql";
import { describe, expect, onTestFinished, test } from "vitest";
import { Connector } from "../src/connector.js";
import { ForUpdate } from "../src/for-update.js";
import { lockRows } from "../src/lock-row.js";
import { LockSession } from "../src/lock-session.js";
import { Pool } from "../src/pool.js";
import { codeOf } from "../src/server-failure.js";
import { urlSource } from "../src/server-source.js";
import { application, newKey, openServers, until } from "./server.js";
import { now, sleep } from "./store.js";

const servers = await openServers("postgres", "mariadb", "mysql");

describe.each(servers)("connections to $name", ({ database, postgres }) => {
  const connectorOf = (url = database.url): Connector => {
    const connector = new Connector(urlSource("url", url));
    onTestFinished(() => connector.close());
    return connector;
  };
  const soon = (ms = 5_000) => now() + ms;
  const slow = postgres ? "SELECT pg_sleep(20)" : "SELECT SLEEP(20)";
  const running = async () => (await database.sessions()).filter(({ statement }) => statement === slow);
  const isBusy = async () => (await running()).some(({ state }) => !/idle|Sleep/.test(state));

  test.each(["deadline", "abort"])(
    "a statement that is cut off by its %s settles then, runs no longer at the server, and costs its connection",
    async (how) => {
      const pool = new Pool(connectorOf(), 1);
      const { connection } = await pool.take({ until: soon() });
      const aborter = new AbortController();
      const since = now();
      const outcome = connection.run(slow, [], how === "deadline" ? soon(200) : soon(), aborter.signal);
      if (how === "abort") setTimeout(() => aborter.abort(), 200);
      await expect(outcome).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true, noEffect: false });
      expect(now() - since).toBeLessThan(1_000);
      expect(connection.lost.aborted).toBe(true);
      await until(async () => !(await isBusy()), 2_000);
      expect((await pool.run("SELECT 1 AS one", [], soon())).rows).toHaveLength(1);
      await expect(connection.run("SELECT 1", [], soon())).rejects.toMatchObject({ noEffect: true });
    },
  );

  test("to end one session leaves all others alone, also one that came after it under its number", async () => {
    const connector = connectorOf();
    const [one, other, third] = [
      await connector.open(soon()),
      await connector.open(soon()),
      await connector.open(soon()),
    ];
    await connector.end(one.name);
    await until(() => one.connection.lost.aborted);
    // It is over: to end it once more is no error.
    await connector.end(one.name);
    await connector.end({ ...other.name, mark: "1" });
    for (const { connection } of [other, third]) await connection.run("SELECT 1", [], soon());
  });

  test("a connection that breaks during a statement is told, and does not go back", async () => {
    const link = await database.link();
    onTestFinished(() => link.close());
    const pool = new Pool(connectorOf(link.url), 1);
    const broken = pool.run(slow, [], soon());
    broken.catch(() => {});
    await until(isBusy);
    link.cut();
    await expect(broken).rejects.toMatchObject({ retryable: true, noEffect: false });
    link.heal();
    await until(() =>
      pool.run("SELECT 1", [], soon()).then(
        () => true,
        () => false,
      ),
    );
  });

  test("a connection that ends while nobody uses it is not lent again", async () => {
    const before = (await database.sessions()).map(({ id }) => id);
    const pool = new Pool(connectorOf(), 1);
    await pool.run("SELECT 1", [], soon());
    const { connection } = await pool.use({ until: soon() }, async (opened) => opened);
    for (const { id } of await database.sessions()) if (!before.includes(id)) await database.terminate(id);
    await until(() => connection.lost.aborted);
    expect((await pool.run("SELECT 1", [], soon())).rows).toHaveLength(1);
  });

  test("to open one over a link that is dead fails by the deadline and leaves nothing", async () => {
    const link = await database.link();
    onTestFinished(() => link.close());
    const before = (await database.sessions()).length;
    link.freeze();
    const since = now();
    await expect(connectorOf(link.url).open(soon(200))).rejects.toMatchObject({ retryable: true, noEffect: true });
    expect(now() - since).toBeLessThan(1_000);
    link.heal();
    await until(async () => (await database.sessions()).length <= before);
  });

  test("wrong credentials are a LockConfigError without the password", async () => {
    const url = new URL(database.url);
    url.password = "wrong-and-secret";
    const refused = await connectorOf(url.href)
      .open(soon())
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "LOCK_CONFIG" });
    expect(String(refused)).not.toContain("secret");
  });

  test("an error keeps the code that the server gave it", async () => {
    const { connection } = await connectorOf().open(soon());
    const refused = await connection.run("SELECT nothing_of_the_kind", [], soon()).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "LOCK_BACKEND", retryable: false, noEffect: true });
    expect(codeOf(refused)).toBe(postgres ? "42703" : 1054);
  });

  test("a session is ended by the server when it was idle for its time, and not before", async () => {
    const { connection } = await connectorOf().open(soon(), { idle: 1_000 });
    await sleep(700);
    const since = now();
    await connection.run("SELECT 1", [], soon());
    await until(() => connection.lost.aborted);
    expect(now() - since).toBeGreaterThanOrEqual(1_000);
    expect(now() - since).toBeLessThan(1_500);
  });

  test.runIf(postgres)(
    "the kernel gives up a dead link later than the holder behind it gives up the lock",
    async () => {
      const { connection } = await connectorOf().open(soon(), { idle: 60_000 });
      const told = async (setting: string) => (await connection.run(`SHOW ${setting}`, [], soon())).rows[0]?.[setting];
      expect(Number(await told("tcp_keepalives_idle"))).toBeGreaterThan(60);
      expect(Number(await told("tcp_user_timeout"))).toBeGreaterThan(60_000);
      expect(await told("idle_session_timeout")).toBe("1min");
      expect(await told("idle_in_transaction_session_timeout")).toBe("1min");
    },
  );

  test("a session that nobody needs is closed before the server would end it", async () => {
    const connector = connectorOf();
    const before = (await database.sessions()).length;
    const session = new LockSession(connector.open(soon(), { idle: 3_000 }), 3_000, connector, () => {});
    await session.opened(soon());
    session.rest();
    await until(async () => (await database.sessions()).length === before, 2_000);
  });

  test("what roles and servers say about time does not end a hold", async () => {
    const hostile = postgres
      ? [
          "idle_in_transaction_session_timeout = '200ms'",
          "idle_session_timeout = '200ms'",
          "statement_timeout = '150ms'",
        ].map((setting) => `ALTER DATABASE postgres SET ${setting}`)
      : ["SET GLOBAL wait_timeout = 1"];
    const kind = postgres ? ["ALTER DATABASE postgres RESET ALL"] : ["SET GLOBAL wait_timeout = 28800"];
    onTestFinished(async () => {
      for (const sql of kind) await database.query(sql);
    });
    for (const sql of hostile) await database.query(sql);
    for (const strategy of ["for-update", "advisory"] as const) {
      const provider = sqlProvider({ url: database.url }, { strategy });
      const locks = await createLocks(provider);
      const lock = await locks.acquire(newKey(), { ttl: 10_000 });
      await sleep(2_200);
      lock.throwIfLost();
      expect(await lock.release()).toBe(true);
      await locks.close();
      await provider.close();
    }
  }, 20_000);

  test("tokens are exact although the application reads large numbers as it likes", async () => {
    const require = createRequire(import.meta.url);
    const knex = application(database.url, postgres ? {} : { connection: numbersOf(database.url) });
    if (postgres) {
      const { types } = require("pg") as {
        types: { setTypeParser(oid: number, parse: (text: string) => unknown): void };
      };
      types.setTypeParser(20, Number);
      onTestFinished(() => types.setTypeParser(20, String));
    }
    for (const strategy of ["for-update", "advisory"] as const) {
      const provider = sqlProvider(knex, { strategy });
      const locks = await createLocks(provider);
      const key = newKey();
      const floor = 2n ** 53n + 2n;
      const claim = provider.claim({
        key,
        id: newKey(),
        owner: "test",
        ttl: 5_000,
        mode: "exclusive",
        limit: 1,
        join: true,
      });
      await claim.tryAcquire(soon());
      expect(await claim.raise?.(floor)).toBe(true);
      await claim.release();
      expect((await locks.acquire(key)).fencingToken).toBe(floor + 1n);
      await locks.close();
      await provider.close();
    }
  });
});

test("the token of a locked row is drawn first, and the connection proves after it that it has the lock", async () => {
  const steps: string[] = [];
  const counters = { draw: async () => (steps.push("draw"), 7n) };
  const readers = {};
  let alive = true;
  const session = {
    run: async (sql: string) => {
      steps.push(sql);
      if (!alive) throw new LockBackendError("gone");
    },
  };
  const wanted = { id: "k", key: "k", claim: "c", owner: "o", mode: "exclusive" } as const;
  const rows = new ForUpdate("t", lockRows("postgres", "t"), counters as never, readers as never);
  expect(await rows.draw(session as never, wanted, now() + 1_000)).toBe(7n);
  expect(steps).toEqual(["draw", "SELECT 1"]);
  alive = false;
  await expect(rows.draw(session as never, wanted, now() + 1_000)).rejects.toThrow("gone");
});

/** What a driver's URL cannot say. */
function numbersOf(url: string): object {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname,
    port: Number(port),
    user: username,
    password,
    database: pathname.slice(1),
    supportBigNumbers: false,
  };
}
