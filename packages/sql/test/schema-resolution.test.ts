import { LockConfigError, type ProviderNotice } from "@dlock/core";
import { schema, type SqlOptions, type VersionProvider } from "@dlock/sql";
import { isSelected, startPgbouncer } from "@dlock/testbed";
import type { Knex } from "knex";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import {
  as,
  expectNeverBoth,
  freshDatabase,
  type FreshDatabase,
  inside,
  locksOf,
  newName,
  newRole,
  opened,
} from "./fresh-database.js";
import { application, newKey, openServers, type Server, until } from "./server.js";

const servers = await openServers("postgres", "mariadb", "mysql");
const postgres = servers.find((server) => server.postgres);
const pgbouncer =
  postgres && isSelected("pgbouncer")
    ? await startPgbouncer(postgres.database, { default_pool_size: "1", max_db_connections: "1" })
    : undefined;
afterAll(() => pgbouncer?.stop());
const strategies = ["version", "for-update", "advisory"] as const;

/** Two ways to name the same locks in one database, each by itself plain or likely. */
interface Pair {
  readonly title: string;
  open(
    database: FreshDatabase,
    server: Server,
  ): Promise<readonly [string | Knex, string | Knex, SqlOptions?, SqlOptions?]>;
}

const sets = (path: string): Partial<Knex.Config> => ({
  pool: {
    min: 0,
    max: 2,
    afterCreate: (
      raw: { query(sql: string, done: (error: Error | null) => void): void },
      done: (error: Error | null) => void,
    ) => raw.query(`SET search_path TO ${path}`, done),
  },
});

const pairs: readonly Pair[] = [
  {
    title: "a role with a schema of its own, and one without",
    open: async ({ url, query }, server) => {
      const [one, two] = [await newRole(server), await newRole(server)];
      await query(`CREATE SCHEMA ${one} AUTHORIZATION ${one}`, `GRANT ALL ON SCHEMA public TO ${one}, ${two}`);
      return [as(one, url), as(two, url)];
    },
  },
  {
    title: "two roles with a search path each, by ALTER ROLE",
    open: async ({ url, query, name }, server) => {
      const [one, two] = [await newRole(server), await newRole(server)];
      for (const [role, path] of [
        [one, "a"],
        [two, "b"],
      ])
        await query(
          `CREATE SCHEMA ${path}`,
          `GRANT ALL ON SCHEMA a TO PUBLIC`,
          `ALTER ROLE ${role} IN DATABASE ${name} SET search_path TO ${path}`,
          `GRANT ALL ON SCHEMA ${path} TO ${one}, ${two}`,
        );
      return [as(one, url), as(two, url)];
    },
  },
  {
    title: "a lent knex with a search path, and a URL",
    open: async ({ url, query }) => {
      await query("CREATE SCHEMA a");
      return [application(url, { searchPath: ["a"] }), url];
    },
  },
  {
    title: "a lent knex with a longer search path, and one with another order",
    open: async ({ url, query }) => {
      await query("CREATE SCHEMA a", "CREATE SCHEMA b");
      return [application(url, { searchPath: ["a", "b"] }), application(url, { searchPath: ["b", "a"] })];
    },
  },
  {
    title: "a lent knex whose pool sets a search path, and a URL",
    open: async ({ url, query }) => {
      await query("CREATE SCHEMA a");
      return [application(url, sets("a")), url];
    },
  },
  {
    title: "a lent knex with options in its connection, and a URL",
    open: async ({ url, query }) => {
      await query("CREATE SCHEMA a");
      return [application(url, { connection: { connectionString: url, options: "-c search_path=a,public" } }), url];
    },
  },
  {
    title: "a search path that leads on to public, and its first schema by name",
    open: async ({ url, query }) => {
      await query("CREATE SCHEMA a");
      return [application(url, { searchPath: ["a", "public"] }), url, {}, { schema: "a" }];
    },
  },
  {
    title: "the schema by name, and nothing",
    open: async ({ url }) => [url, url, { schema: "public" }],
  },
];

describe.runIf(postgres)("on postgres", () => {
  const server = postgres as Server;

  describe.each(strategies)("strategy %s", (strategy) => {
    test.each(pairs)("$title: never both hold", async (pair) => {
      const database = await freshDatabase(server);
      const [one, two, of = {}, other = {}] = await pair.open(database, server);
      const [first, second] = [opened(one, { strategy, ...of }), opened(two, { strategy, ...other })];
      await expectNeverBoth(await locksOf(first), await locksOf(second), newKey());
      expect(await database.tables()).toHaveLength(1);
    });

    test("the table that is there wins, wherever it is in the path", async () => {
      const database = await freshDatabase(server);
      await database.query("CREATE SCHEMA a", schema("postgres", undefined, strategy, "public"));
      const provider = opened(application(database.url, { searchPath: ["a", "nowhere", "public"] }), { strategy });
      await (await (await locksOf(provider)).acquire(newKey())).release();
      expect(await database.tables()).toEqual(["public"]);
    });

    test("every statement names its schema: no name is found by the session, and no stranger's function", async () => {
      const role = await newRole(server);
      const database = await freshDatabase(server);
      await database.query(
        "CREATE SCHEMA locks; CREATE SCHEMA evil",
        `GRANT ALL ON SCHEMA locks, evil TO ${role}`,
        `ALTER ROLE ${role} IN DATABASE ${database.name} SET search_path TO evil, pg_catalog`,
        "CREATE TABLE evil.dlock_leases (LIKE pg_class); CREATE TABLE evil.pg_locks (LIKE pg_class)",
        "CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT '2001-01-01'::timestamptz$$",
        "CREATE FUNCTION evil.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT '2001-01-01'::timestamptz$$",
        "CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$SELECT 1/0::text$$".replace(
          "1/0::text",
          "'nothing'::text WHERE false",
        ),
        "CREATE FUNCTION evil.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$SELECT$$",
        "CREATE FUNCTION evil.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS $$SELECT true$$",
        "CREATE FUNCTION evil.pg_try_advisory_lock_shared(bigint) RETURNS boolean LANGUAGE sql AS $$SELECT true$$",
        "CREATE FUNCTION evil.pg_advisory_lock(bigint) RETURNS void LANGUAGE sql AS $$SELECT$$",
        "CREATE FUNCTION evil.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE sql AS $$SELECT$$",
        "CREATE FUNCTION evil.pg_try_advisory_xact_lock(bigint) RETURNS boolean LANGUAGE sql AS $$SELECT true$$",
        "CREATE FUNCTION evil.pg_backend_pid() RETURNS integer LANGUAGE sql AS $$SELECT 1$$",
        "CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$",
        "CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE sql AS $$SELECT 'evil'::name$$",
        "CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$SELECT 'pg_class'::regclass$$",
      );
      const options: SqlOptions = { strategy, schema: "locks", notify: strategy === "version" };
      const [one, two] = [opened(as(role, database.url), options), opened(as(role, database.url), options)];
      const [a, b] = [await locksOf(one), await locksOf(two)];
      const key = newKey();
      const lock = await a.acquire(key);
      expect(Number(lock.fencingToken) / 1_000).toBeGreaterThan(Date.now() - 60_000);
      expect(await b.tryAcquire(key)).toBeUndefined();
      expect((await b.inspect(key))?.holders).toMatchObject([{ mode: "exclusive" }]);
      const next = b.acquire(key);
      await lock.extend();
      await lock.release();
      await (await next).release();
      const readers = [await a.acquire(key, { mode: "shared" }), await b.acquire(key, { mode: "shared" })];
      expect((await a.inspect(key))?.holders).toHaveLength(2);
      expect(await b.tryAcquire(key)).toBeUndefined();
      const writer = a.acquire(key);
      for (const reader of readers) await reader.release();
      const written = await writer;
      if (strategy !== "for-update") await written.downgrade();
      await written.release();
      if (strategy === "version") {
        const permit = await a.acquire(key, { limit: 2 });
        await (await b.acquire(key, { limit: 2 })).release();
        expect(await (two as VersionProvider).forceRelease(key)).toBe(true);
        await permit.release();
      }
      expect(await database.tables()).toEqual(["evil", "locks"]);
    });
  });

  const refusal = async (database: FreshDatabase, where: string | Knex, options: SqlOptions = {}) => {
    const error: unknown = await opened(where, options)
      .connect()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LockConfigError);
    return (error as LockConfigError).message;
  };

  test("a table that only $user leads to is refused, and one beside it in public too", async () => {
    const role = await newRole(server);
    const database = await freshDatabase(server);
    const url = as(role, database.url);
    await database.query(`CREATE SCHEMA ${role} AUTHORIZATION ${role}`, `GRANT ALL ON SCHEMA public TO ${role}`);
    const own = opened(url, { schema: role });
    await own.createSchema();
    expect(await refusal(database, url)).toMatch(
      new RegExp(`^schema: .*\\?schema=${role}.*only "\\$user" leads to it`),
    );
    expect(await refusal(database, database.url)).toContain(role);
    await database.query(schema("postgres", undefined, "version", "public"));
    expect(await refusal(database, url)).toMatch(new RegExp(`one of (public, ${role}|${role}, public)`));
    // By name either will do.
    await opened(url, { schema: role }).connect();
  });

  test("a table that is in two schemas of the path, or elsewhere, is refused, and both are named", async () => {
    const database = await freshDatabase(server);
    await database.query("CREATE SCHEMA a", "CREATE SCHEMA b", "CREATE SCHEMA c");
    await opened(database.url, { schema: "a" }).connect();
    expect(await refusal(database, database.url)).toMatch(/\?schema= with a, where .*with public for locks apart/);
    expect(await database.tables()).toEqual(["a"]);
    await opened(database.url, { schema: "b" }).connect();
    expect(await refusal(database, application(database.url, { searchPath: ["c", "b", "a"] }))).toMatch(/one of a, b/);
    expect(await database.tables()).toEqual(["a", "b"]);
  });

  test("many who come first, by two paths, make one table", async () => {
    const database = await freshDatabase(server);
    await database.query("CREATE SCHEMA a", "CREATE SCHEMA b");
    for (let round = 0; round < 5; round++) {
      const table = newName("t");
      const all = Array.from({ length: 10 }, (_, index) =>
        opened(application(database.url, { searchPath: [index % 2 ? "a" : "b"] }), { table, connections: 1 }),
      );
      await Promise.allSettled(all.map((provider) => provider.connect()));
      expect(await database.tables(table)).toHaveLength(1);
      for (const provider of all) await provider.close();
    }
  });

  test("a temporary table of the name is nobody's, and not told", async () => {
    const database = await freshDatabase(server);
    await database.query("CREATE TEMP TABLE dlock_leases (a integer)");
    const notices: ProviderNotice[] = [];
    await opened(database.url, { emit: (notice) => notices.push(notice) }).connect();
    expect(notices).toEqual([]);
    expect(await database.tables()).toContain("public");
  });

  test("a second table out of the path's reach is told", async () => {
    const database = await freshDatabase(server);
    await database.query("CREATE SCHEMA a");
    await opened(database.url, {}).connect();
    await opened(database.url, { schema: "a" }).connect();
    const notices: ProviderNotice[] = [];
    await opened(database.url, { emit: (notice) => notices.push(notice) }).connect();
    expect(notices).toMatchObject([{ code: "TABLE_ELSEWHERE", message: expect.stringContaining("a too") as string }]);
  });

  test("a schema that is missing, or in which nothing may be made, is a refusal that says what to do", async () => {
    const role = await newRole(server);
    const database = await freshDatabase(server);
    expect(await refusal(database, database.url, { schema: "nowhere" })).toMatch(/schema: "nowhere".*CREATE SCHEMA/);
    await database.query(`REVOKE CREATE ON SCHEMA public FROM PUBLIC`);
    expect(await refusal(database, as(role, database.url))).toMatch(/schema: "public".*GRANT USAGE, CREATE/);
    const nowhere = application(database.url, { searchPath: ["$user", "nowhere"] });
    expect(await refusal(database, nowhere)).toMatch(/no schema of the search_path \(\$user, nowhere\) exists/);
    expect(await database.tables()).toEqual([]);
  });

  test.each([`o"dd; name`, "A:key", "{schema}.", "select", "x".repeat(63)])(
    "a schema called %s is one",
    async (name) => {
      const database = await freshDatabase(server);
      await database.query(`CREATE SCHEMA "${name.replaceAll('"', '""')}"`);
      const one = opened(`${database.url}`, { schema: name });
      await (await (await locksOf(one)).acquire(newKey())).release();
      expect(await database.tables()).toEqual([name]);
      await opened(application(database.url, { searchPath: name })).connect();
    },
  );

  test("the schema is settled once: a path that changes later changes nothing", async () => {
    const database = await freshDatabase(server);
    const locks = await locksOf(opened(database.url, { connections: 1 }));
    const key = newKey();
    const lock = await locks.acquire(key);
    await database.query("CREATE SCHEMA a", `ALTER DATABASE ${database.name} SET search_path TO a, public`);
    await database.query("CREATE TABLE a.dlock_leases (LIKE public.dlock_leases INCLUDING ALL)");
    for (const { id } of await server.database.sessions()) void id;
    expect(await locks.tryAcquire(key)).toBeUndefined();
    await lock.release();
    // A table that was dropped is made again where it was, and not beside another one.
    await database.query("DROP TABLE public.dlock_leases");
    await expect(locks.acquire(key)).rejects.toThrow(/\?schema= with a/);
    await database.query("DROP TABLE a.dlock_leases");
    await (await locks.acquire(key)).release();
    expect(await database.tables()).toEqual(["public"]);
  });

  describe.runIf(pgbouncer)("behind pgbouncer in transaction mode", () => {
    test("what a stranger has set in the session leads nowhere, and nothing is set there", async () => {
      const database = await freshDatabase(server, pgbouncer?.url);
      await database.query("CREATE SCHEMA strange", "CREATE SCHEMA a");
      const stranger = application(database.url, { pool: { min: 0, max: 1 } });
      await stranger.raw("SET search_path TO strange");
      const path = async () => ((await stranger.raw("SHOW search_path")) as { rows: unknown[] }).rows;
      const providers = [
        opened(application(database.url, { searchPath: ["a"] })),
        opened(application(database.url, { searchPath: ["a"] })),
        opened(application(database.url, sets("a")), { schema: "a" }),
        opened(database.url, { schema: "a" }),
      ];
      const locks = await Promise.all(providers.map(locksOf));
      const key = newKey();
      const all = await Promise.all(locks.map((each) => each.tryAcquire(key)));
      expect(all.filter((lock) => lock !== undefined)).toHaveLength(1);
      for (const lock of all) await lock?.release();
      expect(await path()).toEqual([{ search_path: "strange" }]);
      expect(await database.tables()).toEqual(["a"]);
      expect(await refusal(database, database.url)).toMatch(/\?schema= with a/);
    });

    test("a plain URL means what it means without the pooler", async () => {
      const database = await freshDatabase(server, pgbouncer?.url);
      await database.query("CREATE SCHEMA strange");
      await application(database.url, { pool: { min: 0, max: 1 } }).raw("SET search_path TO strange");
      const [behind, direct] = [opened(database.url), opened(inside(server.database.url, database.name))];
      await expectNeverBoth(await locksOf(behind), await locksOf(direct), newKey());
      expect(await database.tables()).toEqual(["public"]);
    });
  });
});

describe.each(servers.filter((server) => !server.postgres))("on $name", (server) => {
  describe.each(strategies)("strategy %s", (strategy) => {
    test("the database by name, and by default: never both hold", async () => {
      const [app, locks] = [await freshDatabase(server), await freshDatabase(server)];
      const [byDefault, byName] = [opened(locks.url, { strategy }), opened(app.url, { strategy, schema: locks.name })];
      await expectNeverBoth(await locksOf(byDefault), await locksOf(byName), newKey());
      const found = await app.tables();
      expect(found.filter((home) => home === app.name || home === locks.name)).toEqual([locks.name]);
    });

    test("a lent knex whose pool changes the database, one without any, and the database by name: never both hold", async () => {
      const [app, locks] = [await freshDatabase(server), await freshDatabase(server)];
      const afterCreate = (
        raw: { query(sql: string, done: (error: Error | null) => void): void },
        done: (error: Error | null) => void,
      ) => raw.query(`USE ${locks.name}`, done);
      const moved = opened(application(app.url, { pool: { min: 0, max: 2, afterCreate } }), { strategy });
      const { hostname, port, username, password } = new URL(server.database.url);
      const connection = { host: hostname, port: Number(port), user: username, password };
      const none = opened(application(app.url, { connection }), { strategy, schema: locks.name });
      await expectNeverBoth(await locksOf(moved), await locksOf(none), newKey());
      await expect(opened(application(app.url, { connection }), { strategy }).connect()).rejects.toThrow(
        /schema: "not given".*the connection has none/,
      );
    });

    test("sharing works in a database that is not the session's", async () => {
      if (strategy === "advisory") return;
      const [app, other] = [await freshDatabase(server), await freshDatabase(server)];
      const [a, b] = [app.url, other.url].map((url) => opened(url, { strategy, schema: other.name }));
      if (!a || !b) throw new Error();
      const [one, two] = [await locksOf(a), await locksOf(b)];
      const key = newKey();
      const readers = [await one.acquire(key, { mode: "shared" }), await two.acquire(key, { mode: "shared" })];
      expect((await one.inspect(key))?.holders).toHaveLength(2);
      expect(await two.tryAcquire(key)).toBeUndefined();
      const writer = one.acquire(key);
      for (const reader of readers) await reader.release();
      const lock = await writer;
      if (strategy === "version") await lock.downgrade();
      await lock.release();
      await until(async () => (await two.inspect(key))?.holders.length === 0);
    });
  });

  test("a database that is not there is refused, and odd names are names", async () => {
    const app = await freshDatabase(server);
    await expect(opened(app.url, { schema: "nowhere" }).connect()).rejects.toThrow(/schema: "nowhere".*is there/);
    const odd = `${newName("D")}-o\`dd:key {schema}.`;
    const quoted = `\`${odd.replaceAll("`", "``")}\``;
    await server.database.query(`CREATE DATABASE ${quoted}`);
    onTestFinished(async () => void (await server.database.query(`DROP DATABASE ${quoted}`)));
    for (const strategy of strategies) {
      const locks = await locksOf(opened(app.url, { schema: odd, strategy }));
      await (await locks.acquire(newKey())).release();
    }
    expect(await app.tables()).toContain(odd);
  });
});
