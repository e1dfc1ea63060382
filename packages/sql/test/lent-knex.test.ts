import { createRequire } from "node:module";
import { join } from "node:path";
import { LockConfigError } from "@dlock/core";
import { type KnexLike, sqlProvider, type VersionProvider } from "@dlock/sql";
import createKnex from "knex";
import type { Knex } from "knex";
import { expect, onTestFinished, test, vi } from "vitest";
import { ask, claim, directory } from "./store.js";

const require = createRequire(import.meta.url);
const Base = require("knex/lib/dialects/better-sqlite3/index.js") as typeof Knex.Client;

/** As an application on libsql has it. */
class Libsql extends Base {
  _driver(): unknown {
    return require("libsql");
  }
}

function application(settings: Partial<Knex.Config> = {}): { readonly knex: Knex; readonly filename: string } {
  const filename = join(directory(), "application.db");
  const log = { warn: () => {} };
  const knex = createKnex({ client: Libsql, connection: { filename }, useNullAsDefault: true, log, ...settings });
  onTestFinished(() => knex.destroy());
  return { knex, filename };
}

function lend(knex: KnexLike): VersionProvider {
  const provider = sqlProvider(knex, { strategy: "version" });
  onTestFinished(() => provider.close());
  return provider;
}

test("an application that fills its pool keeps its locks", async () => {
  const { knex } = application({ pool: { min: 0, max: 1 }, acquireConnectionTimeout: 100 });
  const provider = lend(knex);
  const transaction = await knex.transaction();
  await expect(knex.raw("SELECT 1")).rejects.toThrow(/Timeout acquiring a connection/);
  const holder = claim(provider, "key");
  expect(await ask(holder)).toBeTypeOf("bigint");
  expect(await holder.renew(1_000)).toBe(true);
  await holder.release();
  await transaction.rollback();
});

test("a lent transaction is refused: its rollback would undo locks", async () => {
  const { knex } = application();
  const transaction = await knex.transaction();
  expect(() => lend(transaction)).toThrow(LockConfigError);
  expect(() => lend(transaction)).toThrow(/knex: "a transaction" is not accepted; expected the knex it belongs to/);
  await transaction.rollback();
});

test("a knex of another database, and what is no knex, is refused", () => {
  const oracle = { client: { driverName: "oracledb", acquireRawConnection: () => {} } };
  expect(() => lend(oracle)).toThrow(
    /knex: "oracledb" is not accepted; expected a knex instance with client "pg", "mysql2"/,
  );
  for (const other of [{ client: undefined }, { client: {} }, () => {}])
    expect(() => lend(other as KnexLike)).toThrow(LockConfigError);
});

test("a knex in memory is refused: nobody else would see the locks", async () => {
  const { knex } = application({ connection: { filename: ":memory:" } });
  await expect(lend(knex).connect()).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "knex", value: ":memory:" });
});

test("only the connection that was opened here is closed", async () => {
  const { knex } = application();
  const provider = lend(knex);
  await ask(claim(provider, "key"));
  await provider.close();
  expect(await knex.raw("SELECT count(*) AS rows FROM dlock_leases WHERE key = 'key'")).toEqual([{ rows: 1 }]);
});

test("the application's naming, its integers and its async configuration do not reach the locks", async () => {
  const file = join(directory(), "application.db");
  const { knex } = application({
    connection: async () => ({ filename: file, options: { safeIntegers: true } }),
    postProcessResponse: () => "shaped",
    wrapIdentifier: (name, wrap) => wrap(name.toUpperCase()),
  });
  const provider = lend(knex);
  const token = await ask(claim(provider, "key"));
  const [seen] = (await provider.inspect("key")).holders;
  expect(seen).toEqual({
    owner: "test",
    mode: "exclusive",
    fencingToken: token,
    expiresIn: expect.any(Number) as number,
  });
});

test("a full disk is a retryable LockBackendError that leaves the last state, and what the application does to new connections is done to this one", async () => {
  let pages = 1_000;
  const { knex } = application({
    pool: {
      afterCreate: (connection: { exec(sql: string): void }, done: (error?: Error) => void) => {
        connection.exec(`PRAGMA max_page_count = ${pages}`);
        done();
      },
    },
  });
  const first = lend(knex);
  const holder = claim(first, "key");
  await ask(holder);
  pages = 1;
  const second = lend(knex);
  const filler = Array.from({ length: 200 }, (_, index) => ask(claim(second, `${index} ${"x".repeat(900)}`)));
  const failures = (await Promise.allSettled(filler)).filter((outcome) => outcome.status === "rejected");
  expect(failures.length).toBeGreaterThan(100);
  for (const { reason } of failures) {
    expect(reason).toMatchObject({ code: "LOCK_BACKEND", retryable: true, cause: { code: "SQLITE_FULL" } });
  }
  expect(await holder.renew(1_000)).toBe(true);
  await holder.release();
  expect(await ask(claim(second, "key"))).toBeTypeOf("bigint");
});

test("knex says nothing on the console", async () => {
  const said = (["log", "warn", "error", "info", "debug"] as const).map((name) => vi.spyOn(console, name));
  const written = [vi.spyOn(process.stdout, "write"), vi.spyOn(process.stderr, "write")];
  onTestFinished(() => [...said, ...written].forEach((spy) => spy.mockRestore()));
  const file = sqlProvider({ filename: join(directory(), "locks.db") }, { strategy: "version" });
  await file.connect();
  await file.close();
  const broken = sqlProvider({ filename: "/nowhere/locks.db" }, { strategy: "version" });
  await expect(broken.connect()).rejects.toThrow();
  for (const spy of [...said, ...written]) expect(spy).not.toHaveBeenCalled();
});
