import { join, relative } from "node:path";
import { createLocks, LockConfigError, type ProviderEntry } from "@dlock/core";
import { createProvider, schema, type SqlOptions, sqlProvider } from "@dlock/sql";
import { expect, onTestFinished, test } from "vitest";
import { knexSource } from "../src/server-source.js";
import { directory, foreign } from "./store.js";

const context = { emit: () => {} };

function refusal(entry: ProviderEntry): unknown {
  try {
    void createProvider(entry, context).close();
    return undefined;
  } catch (error) {
    return error;
  }
}

test.each([
  ["sqlite:", "url", "sqlite:./locks.db, sqlite:///path"],
  ["sqlite:?table=t", "url", "sqlite:./locks.db"],
  ["sqlite::memory:", "url", "nobody else would see locks in memory"],
  ["sqlite:a%00b.db", "url", "a path without NUL"],
  ["sqlite://server/locks.db", "url", "a file has no host"],
  ["sqlite:./100%.db", "url", "%25"],
  ["sqlite:./locks.db?tabel=t", "url", "only strategy, table, driver"],
  ["sqlite:./locks.db?connections=2", "url", "only strategy, table, driver"],
  ["sqlite:./locks.db?table=a-b", "table", "letters, digits and underscores"],
  ["sqlite:./locks.db?table=sqlite_locks", "table", "not SQLite's own"],
  ["sqlite:./locks.db?table=json_each", "table", "not SQLite's own"],
  ["sqlite:./locks.db?driver=sqlite3", "driver", '"better-sqlite3" or "libsql"'],
  ["sqlite:./locks.db?strategy=for-update", "strategy", '"version", the only strategy on SQLite'],
  ["oracle://db/app", "url", "postgres://[user:password@]host[:port]/database"],
  ["postgres:db", "url", "postgres://[user:password@]host[:port]/database"],
  ["postgres://a b/app", "url", "postgres://[user:password@]host[:port]/database"],
  ["postgres://db", "url", "the name of a database at its end"],
  ["mysql://db/", "url", "the name of a database at its end"],
  ["mysql://db/app/locks", "url", "the name of a database at its end"],
  ["postgres://db/app?strateg=advisory", "url", "only strategy, table, schema, connections, notify, sslmode"],
  ["mysql://db/app?sslmode=require", "url", "only strategy, table, schema, connections, notify, ssl"],
  ["postgres://db/app?strategy=optimistic", "strategy", '"version" or "for-update" or "advisory"'],
  ["postgres://db/app?table=a.b", "table", "letters, digits and underscores"],
  ["postgres://db/app?schema=", "schema", "a name of at most 63 bytes"],
  ["postgres://db/app?schema=$user", "schema", "$user is another one for each role"],
  ["postgres://db/app?schema=pg_catalog", "schema", "not the server's own"],
  [`postgres://db/app?schema=${"ä".repeat(32)}`, "schema", "a name of at most 63 bytes"],
  ["postgres://db/app?schema=a%00b", "schema", "without control characters"],
  ["postgres://db/app?schema=a&schema=b", "url", "once in its query"],
  ["postgres://db/app?table=a&table=b", "url", "once in its query"],
  [`mysql://db/app?schema=${"a".repeat(65)}`, "schema", "a name of at most 64 bytes"],
  ["mysql://db/app?schema=mysql", "schema", "not the server's own"],
  ["sqlite:./locks.db?schema=public", "schema", "an SQLite file has one schema"],
  ["sqlite:./locks.db?table=a&table=b", "url", "once in its query"],
  ["postgres://db/app?connections=0", "connections", "a whole number from 1 to 1000"],
  ["postgres://db/app?connections=many", "connections", "a whole number from 1 to 1000"],
  ["postgres://db/app?notify=yes", "notify", "true or false"],
  ["postgres://db/app?notify=true&strategy=advisory", "notify", 'false with strategy "advisory"'],
  ["mysql://db/app?notify=true", "notify", "false: only PostgreSQL has NOTIFY"],
])("%s is refused, naming %s and what is accepted", (url, field, accepted) => {
  const error = refusal({ url });
  expect(error).toBeInstanceOf(LockConfigError);
  expect(error).toMatchObject({ field, accepted: expect.stringContaining(accepted) as string });
});

test("a refusal shows no credentials", () => {
  for (const url of ["postgres://me:secret@db", "mysql://me:secret@a b/app", "sqlite://me:secret@host/locks.db"]) {
    const { message, value } = refusal({ url }) as LockConfigError;
    expect(`${message} ${String(value)}`).not.toContain("secret");
  }
});

test("options beside the URL are checked like those in it", () => {
  expect(refusal({ url: "sqlite:./locks.db", tabel: "t" })).toMatchObject({ code: "LOCK_CONFIG", value: "tabel" });
  expect(refusal({ url: "sqlite:./locks.db", table: 7 })).toMatchObject({
    code: "LOCK_CONFIG",
    field: "table",
    value: 7,
  });
  expect(refusal({ url: "sqlite:./locks.db", strategy: "advisory" })).toMatchObject({ field: "strategy" });
});

test("a prefix is refused everywhere, with what to write instead", () => {
  const sentence = /createLocks\(…, \{ prefix \}\).*"schema" and "table" in SQL/;
  for (const url of ["sqlite:./locks.db", "postgres://db/app", "mysql://db/app", "mariadb://db/app"]) {
    expect(refusal({ url, prefix: "app:" })).toMatchObject({
      code: "LOCK_CONFIG",
      accepted: expect.stringMatching(sentence) as string,
    });
    expect(refusal({ url: `${url}?prefix=app:` })).toMatchObject({
      code: "LOCK_CONFIG",
      accepted: expect.stringMatching(sentence) as string,
    });
    expect(() => sqlProvider({ url: `${url}?prefix=app:` })).toThrow(
      url.startsWith("sqlite") ? LockConfigError : sentence,
    );
    expect(() => sqlProvider({ url, prefix: "app:" } as { url: string })).toThrow(sentence);
    expect(() => sqlProvider({ url }, { prefix: "app:" } as object)).toThrow(
      url.startsWith("sqlite") ? LockConfigError : sentence,
    );
  }
  expect(() => sqlProvider({ filename: "locks.db" }, { prefix: "app:" } as object)).toThrow(sentence);
  expect(() => sqlProvider({ filename: "locks.db", prefix: "app:" } as { filename: string })).toThrow(sentence);
});

test("an option in the URL and beside it has to say the same, and once", () => {
  const url = "postgres://db/app?strategy=version&table=t&connections=2&notify=true";
  const same = { strategy: "version", table: "t", connections: 2, notify: true };
  expect(refusal({ url, ...same })).toBeUndefined();
  for (const [field, value] of Object.entries({ strategy: "advisory", table: "u", connections: 3, notify: false }))
    expect(refusal({ url, ...same, [field]: value })).toMatchObject({ code: "LOCK_CONFIG", field });
  for (const twice of ["postgres://db/app?table=t&table=u", "sqlite:./locks.db?table=t&table=t"])
    expect(refusal({ url: twice })).toMatchObject({ code: "LOCK_CONFIG", field: "url", value: "table" });
});

test("options may be in the URL, or beside it in the entry", async () => {
  const file = join(directory(), "my locks #1.db");
  const url = `sqlite://${file.replaceAll(" ", "%20")}?table=one&driver=libsql&strategy=version`;
  for (const entry of [{ url }, { url: url.replace("table=one&", ""), table: "two" }]) {
    const provider = createProvider(entry, context);
    await provider.connect();
    await provider.close();
  }
  const tables = foreign(file).prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  expect(tables).toEqual([{ name: "one" }, { name: "two" }]);
});

test("a relative path starts at the working directory, and createLocks opens the file only when it is used", async () => {
  const file = join(directory(), "locks.db");
  const [here, there] = [
    await createLocks(`sqlite:${relative(process.cwd(), file)}`),
    await createLocks(new URL(`file://${file}`.replace("file:", "sqlite:"))),
  ];
  onTestFinished(async () => {
    await here.close();
    await there.close();
  });
  const lock = await here.acquire("key");
  expect(await there.tryAcquire("key")).toBeUndefined();
  expect(await lock.release()).toBe(true);
  expect(await there.tryWithLock("key", () => "ran")).toEqual({ result: "ran" });
  await (await createLocks("sqlite:/nowhere/locks.db")).close();
});

test("a URL that is refused does not show its password, whatever is in it", () => {
  for (const url of [
    "postgres://app:se/cret@db/app",
    "mysql://app:12/secret@db/app",
    "postgres://app:se%cret@db/app",
  ]) {
    expect(() => sqlProvider({ url })).toThrow(/^url: "[a-z]+:\/\/…@db\/app" is not accepted/);
  }
});

test("of a lent knex's connection settings the driver gets what is meant for it, on each connection anew", async () => {
  let password = 0;
  const connection = () => ({ host: "db", password: `secret ${(password += 1)}`, expirationChecker: () => true });
  const source = knexSource({ client: { driverName: "mysql2", config: { connection } } });
  expect(await source.settings()).toEqual({ host: "db", password: "secret 1" });
  expect(await source.settings()).toEqual({ host: "db", password: "secret 2" });
});

test("sqlProvider refuses what it does not know", () => {
  const options: SqlOptions = { strategy: "version" };
  const refused =
    (where: unknown, given: unknown = options) =>
    () =>
      sqlProvider(where as never, given as never);
  expect(refused({ filename: "" })).toThrow(/filename: ""/);
  expect(refused({ filename: ":memory:" })).toThrow(/filename.*nobody else would see/);
  expect(refused({ file: "./locks.db" })).toThrow(/only filename, driver/);
  expect(refused("./locks.db")).toThrow(LockConfigError);
  expect(refused({ filename: "./locks.db" }, { strategy: "for-update" })).toThrow(/the only strategy on SQLite/);
  expect(refused({ filename: "./locks.db" }, { notify: true })).toThrow(/only PostgreSQL has NOTIFY/);
  expect(refused({ filename: "./locks.db" }, { connections: 2 })).toThrow(/on SQLite there is one/);
  expect(refused({ filename: "./locks.db" }, { emit: "console" })).toThrow(/emit.*a function/);
  expect(refused({ url: "sqlite:./locks.db" })).toThrow(/\{ filename \} names a file/);
  expect(refused({ url: "postgres://db/app?strategy=advisory" })).toThrow(/options beside it/);
  expect(refused({ url: "postgres://db/app", table: "t" })).toThrow(/only url/);
  expect(refused({ filename: "./locks.db" }, { ...options, ttl: 1 })).toThrow(
    /only strategy, table, schema, connections, notify, emit/,
  );
  expect(() => schema("oracle" as never)).toThrow(LockConfigError);
  expect(() => schema("sqlite", "locks", "advisory")).toThrow(LockConfigError);
  expect(() => schema("sqlite", 'a"b')).toThrow(LockConfigError);
});
