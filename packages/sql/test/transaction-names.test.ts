import { LockConfigError } from "@dlock/core";
import { conditionalUpdate, fencedUpdate, lockInTransaction, optimisticUpdate, schema, sqlProvider } from "@dlock/sql";
import { isSelected, startPgbouncer } from "@dlock/testbed";
import type { Knex } from "knex";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { as, freshDatabase, inside, locksOf, newRole, opened } from "./fresh-database.js";
import { application, newKey, openServers, type Server } from "./server.js";
import { connect, directory } from "./store.js";
import { knexOnFile } from "./application.js";

const servers = await openServers("postgres", "mariadb", "mysql");
const postgres = servers.find((server) => server.postgres);
const pgbouncer = postgres && isSelected("pgbouncer") ? await startPgbouncer(postgres.database) : undefined;
afterAll(() => pgbouncer?.stop());
const strategies = ["version", "for-update", "advisory"] as const;

describe.runIf(postgres)("in a transaction on postgres", () => {
  const server = postgres as Server;
  const ways = [
    { way: "directly", url: () => server.database.url },
    ...(pgbouncer === undefined ? [] : [{ way: "behind pgbouncer", url: () => pgbouncer.url }]),
  ];
  const places = ways.flatMap((way) => strategies.map((strategy) => ({ ...way, strategy })));

  describe.each(places)("$way, strategy $strategy", ({ strategy, url }) => {
    /** Holders, who are elsewhere; the application; and a schema in which a table of the same name is. */
    const setUp = async () => {
      const role = await newRole(server);
      const database = await freshDatabase(server, url());
      await database.query(
        "CREATE SCHEMA tenant",
        "CREATE TABLE public.work (at integer)",
        `GRANT ALL ON public.work TO ${role}`,
        `GRANT ${role} TO CURRENT_USER`,
      );
      const provider = opened(inside(server.database.url, database.name), { strategy });
      await provider.createSchema();
      await database.query(
        schema("postgres", undefined, strategy, "tenant"),
        `GRANT USAGE ON SCHEMA tenant TO ${role}`,
      );
      const knex = application(database.url);
      return { role, database, locks: await locksOf(provider), knex, key: newKey() };
    };

    test.each([
      ["another search path", () => ["SET LOCAL search_path TO tenant"]],
      ["another path that leads on", () => ["SET LOCAL search_path TO tenant, public"]],
      ["no search path", () => ["SET LOCAL search_path TO ''"]],
      [
        "a temporary table of the same name",
        () => ["CREATE TEMP TABLE dlock_leases (LIKE public.dlock_leases) ON COMMIT DROP"],
      ],
      [
        "a role that may use the tables",
        (role: string) => [
          `GRANT USAGE ON SCHEMA public TO ${role}`,
          `GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO ${role}`,
          `SET LOCAL ROLE ${role}`,
        ],
      ],
    ])("with %s, it is the lock of the provider", async (_, before) => {
      const { role, locks, knex, key } = await setUp();
      await knex.transaction(async (trx) => {
        for (const sql of before(role)) await trx.raw(sql);
        await lockInTransaction(trx, key, { strategy, waitTimeout: 2_000 });
        await lockInTransaction(trx, key, { strategy, schema: "public", waitTimeout: 2_000 });
        expect(await locks.tryAcquire(key)).toBeUndefined();
        await trx("public.work").insert({ at: 1 });
      });
      const lock = await locks.acquire(key, { waitTimeout: 2_000 });
      await expect(
        knex.transaction(async (trx) => {
          for (const sql of before(role)) await trx.raw(sql);
          await lockInTransaction(trx, key, { strategy, waitTimeout: 0 });
        }),
      ).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
      await lock.release();
      expect(await knex("public.work").select()).toHaveLength(1);
    });

    // A lock by number writes nothing.
    test.runIf(strategy !== "advisory")("that may only read, it is refused, and the transaction goes on", async () => {
      const { locks, knex, key } = await setUp();
      await knex.transaction(async (trx) => {
        await trx.raw("SET TRANSACTION READ ONLY");
        const refused = lockInTransaction(trx, key, { strategy, waitTimeout: 2_000 });
        await expect(refused).rejects.toThrow(LockConfigError);
        await expect(refused).rejects.toThrow(/read only/);
        expect(await trx("public.work").select()).toEqual([]);
      });
      await (await locks.acquire(key, { waitTimeout: 5_000 })).release();
    });

    // A lock by number needs no table in the transaction, and no rights.
    test.runIf(strategy !== "advisory")(
      "with a role that may not, it is refused, and the transaction goes on",
      async () => {
        const { role, locks, knex, key } = await setUp();
        const attempts: readonly string[] = ["", `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`];
        for (const grant of attempts) {
          if (grant !== "") await knex.raw(grant);
          await knex.transaction(async (trx) => {
            await trx.raw(`SET LOCAL ROLE ${role}`);
            const refused = lockInTransaction(trx, key, { strategy, waitTimeout: 2_000 });
            await expect(refused).rejects.toThrow(LockConfigError);
            await expect(refused).rejects.toThrow(new RegExp(`role ${role}.*GRANT .*public\\.dlock_leases`));
            await trx("public.work").insert({ at: 1 });
          });
          await (await locks.acquire(key, { waitTimeout: 5_000 })).release();
        }
        expect(await knex("public.work").select()).toHaveLength(2);
        // A lock that the transaction has already needs no more rights.
        await knex.transaction(async (trx) => {
          await lockInTransaction(trx, key, { strategy });
          await trx.raw(`SET LOCAL ROLE ${role}`);
          await lockInTransaction(trx, key, { strategy }).catch((error: unknown) =>
            expect(error).toBeInstanceOf(LockConfigError),
          );
          await trx("public.work").insert({ at: 1 });
          expect(await locks.tryAcquire(key)).toBeUndefined();
        });
      },
    );
  });

  test("a knex whose path leads elsewhere is refused before anything is done in the transaction", async () => {
    const database = await freshDatabase(server);
    await database.query("CREATE SCHEMA tenant");
    const locks = await locksOf(opened(database.url));
    const key = newKey();
    const lock = await locks.acquire(key);
    const knex = application(database.url, { searchPath: ["tenant"] });
    await knex.transaction(async (trx) => {
      await expect(lockInTransaction(trx, key, { waitTimeout: 0 })).rejects.toThrow(/\?schema= with public/);
      await expect(lockInTransaction(trx, key, { waitTimeout: 0, schema: "public" })).rejects.toMatchObject({
        code: "LOCK_TIMEOUT",
      });
      await expect(lockInTransaction(trx, key, { waitTimeout: 0, schema: "" })).rejects.toThrow(LockConfigError);
      await trx.raw("CREATE TABLE tenant.went_on (a integer)");
    });
    expect(await database.tables()).toEqual(["public"]);
    expect(await database.tables("went_on")).toEqual(["tenant"]);
    await lock.release();
  });

  test("another role's own schema is not where the lock is", async () => {
    const role = await newRole(server);
    const database = await freshDatabase(server);
    const locks = await locksOf(opened(database.url));
    const key = newKey();
    const lock = await locks.acquire(key);
    await database.query(
      `CREATE SCHEMA ${role} AUTHORIZATION ${role}`,
      `GRANT ALL ON SCHEMA public TO ${role}`,
      `GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`,
    );
    const knex = application(as(role, database.url));
    await expect(knex.transaction((trx) => lockInTransaction(trx, key, { waitTimeout: 0 }))).rejects.toMatchObject({
      code: "LOCK_TIMEOUT",
    });
    await lock.release();
    await knex.transaction((trx: Knex.Transaction) => lockInTransaction(trx, key, { waitTimeout: 2_000 }));
    expect(await database.tables()).toEqual(["public"]);
  });
});

describe.runIf(postgres)("a row of the application's, in a transaction on postgres", () => {
  const server = postgres as Server;
  const helpers = {
    optimisticUpdate: (trx: Knex.Transaction, table: string) =>
      optimisticUpdate(trx, { table, key: { id: 1 }, version: "version" }, () => ({ stock: 7 })),
    conditionalUpdate: (trx: Knex.Transaction, table: string) =>
      conditionalUpdate(trx, { table, key: { id: 1 }, when: { stock: 1 } }, { stock: 7 }),
    fencedUpdate: (trx: Knex.Transaction, table: string) =>
      fencedUpdate(trx, { table, key: { id: 1 }, fence: "fence" }, { key: "k", fencingToken: 9n }, { stock: 7 }),
  };

  test.each(Object.entries(helpers))(
    "%s writes where the session leads, or refuses and lets it go on",
    async (_, help) => {
      const role = await newRole(server);
      const database = await freshDatabase(server);
      const row = (schemaName: string) => [
        `CREATE TABLE ${schemaName}.product (id integer, stock integer, version integer, fence bigint)`,
        `INSERT INTO ${schemaName}.product VALUES (1, 1, 1, NULL)`,
      ];
      await database.query("CREATE SCHEMA tenant", "CREATE SCHEMA empty", `GRANT ${role} TO CURRENT_USER`);
      await database.query(...row("public"), ...row("tenant"), `GRANT USAGE ON SCHEMA public, empty TO ${role}`);
      const knex = application(database.url);
      const refused = [
        ["SET LOCAL search_path TO empty", "product", /the search_path of the transaction lead to/],
        [`SET LOCAL ROLE ${role}`, "public.product", new RegExp(`role ${role} may SELECT and UPDATE`)],
        [`SET LOCAL ROLE ${role}`, "tenant.product", /lead to/],
      ] as const;
      for (const [before, table, why] of refused)
        await knex.transaction(async (trx) => {
          await trx.raw(before);
          const attempt = help(trx, table);
          await expect(attempt).rejects.toThrow(LockConfigError);
          await expect(attempt).rejects.toThrow(why);
          await trx.raw("RESET ROLE");
          await trx("public.product").insert({ id: 2 });
        });
      await knex.transaction(async (trx) => {
        await trx.raw("SET LOCAL search_path TO tenant, public");
        await help(trx, "product");
      });
      const stock = async (table: string) => (await knex(table).where({ id: 1 }).first("stock")) as unknown;
      expect([await stock("tenant.product"), await stock("public.product")]).toEqual([{ stock: 7 }, { stock: 1 }]);
      // As knex has it, under another name.
      await knex.transaction(async (trx) => {
        await help(trx, "product as item");
      });
      expect(await stock("public.product")).toEqual({ stock: 7 });
      expect(await knex("public.product").where({ id: 2 })).toHaveLength(3);
    },
  );
});

describe.each(servers.filter((server) => !server.postgres))("in a transaction on $name", (server) => {
  test.each(["version", "for-update"] as const)("after USE, strategy %s is that of the provider", async (strategy) => {
    const [app, tenant] = [await freshDatabase(server), await freshDatabase(server)];
    await opened(tenant.url, { strategy }).createSchema();
    const locks = await locksOf(opened(app.url, { strategy }));
    const knex = application(app.url, { pool: { min: 0, max: 1 } });
    const key = newKey();
    const lock = await locks.acquire(key);
    const inTenant = (waitTimeout: number, options: { readonly schema?: string } = {}) =>
      knex.transaction(async (trx) => {
        await trx.raw(`USE ${tenant.name}`);
        await lockInTransaction(trx, key, { strategy, waitTimeout, ...options });
        expect(await locks.tryAcquire(key)).toBeUndefined();
      });
    await expect(inTenant(0)).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    await expect(inTenant(0, { schema: app.name })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    await lock.release();
    await inTenant(2_000);
    // USE outlasts the transaction: the connection of the pool is still there.
    await inTenant(2_000);
    await inTenant(2_000, { schema: app.name });
    await (await locks.acquire(key, { waitTimeout: 2_000 })).release();
  });
});

test("in a transaction on SQLite, a temporary table of the name is not the one that is meant", async () => {
  const filename = `${directory()}/locks.db`;
  const knex = knexOnFile(filename);
  const provider = sqlProvider({ filename });
  onTestFinished(() => provider.close());
  await provider.createSchema();
  const key = newKey();
  await knex.transaction(async (trx) => {
    await trx.raw("CREATE TEMP TABLE dlock_leases AS SELECT * FROM main.dlock_leases WHERE 0").catch(() => {});
  });
  await knex.transaction(async (trx) => {
    await lockInTransaction(trx, key, { waitTimeout: 2_000 });
    await expect(lockInTransaction(trx, key, { schema: "public" })).rejects.toThrow(/one schema/);
    await trx.raw("CREATE TABLE went_on (a)");
  });
  const side = connect(filename);
  const rows = side.prepare("SELECT claim FROM dlock_leases WHERE key = ?").all(key);
  side.close();
  expect(rows).toEqual([{ claim: "" }]);
});
