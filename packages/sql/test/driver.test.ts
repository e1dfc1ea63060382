import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { directory } from "./store.js";

const here = fileURLToPath(new URL("..", import.meta.url));
const libsql = dirname(createRequire(import.meta.url).resolve("libsql"));
const old = Number.parseInt(process.versions.node, 10) < 22;

/** An application's folder with @dlock/sql in it; where the drivers are is up to the test. */
function application(): { readonly folder: string; readonly run: (driver?: string, cwd?: string) => Promise<string> } {
  const folder = realpathSync(directory());
  const sql = join(folder, "node_modules", "@dlock", "sql");
  mkdirSync(join(folder, "node_modules", "@dlock"), { recursive: true });
  cpSync(join(here, "dist"), join(sql, "dist"), { recursive: true });
  copyFileSync(join(here, "package.json"), join(sql, "package.json"));
  mkdirSync(join(sql, "node_modules", "@dlock"), { recursive: true });
  for (const name of ["knex", "@dlock/core"])
    symlinkSync(realpathSync(join(here, "node_modules", name)), join(sql, "node_modules", name));
  copyFileSync(join(here, "test", "child", "with-driver.mjs"), join(folder, "main.mjs"));
  const run = async (driver?: string, cwd: string = folder): Promise<string> => {
    const args = [join(folder, "main.mjs"), join(folder, "locks.db"), ...(driver === undefined ? [] : [driver])];
    // Launchers of packages put folders there that an application does not have.
    const env = { ...process.env, NODE_PATH: "" };
    return (await promisify(execFile)(process.execPath, args, { cwd, env })).stdout.trim();
  };
  return { folder, run };
}

function install(folder: string, name: string, version: string, main: string): void {
  const path = join(folder, "node_modules", name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "package.json"), JSON.stringify({ name, version }));
  writeFileSync(join(path, "index.js"), main);
}

const works = `globalThis.loaded = "by better-sqlite3"; module.exports = require(${JSON.stringify(libsql)});`;

test("no driver is one error with the line to type", async () => {
  const { run } = application();
  const sentence =
    'LOCK_CONFIG driver: "better-sqlite3 or libsql" is not accepted; expected a driver for SQLite to be installed: npm install libsql';
  expect(await run()).toBe(sentence);
  expect(await run("better-sqlite3")).toMatch(old ? /npm install better-sqlite3@12$/ : /npm install better-sqlite3$/);
});

test("a driver is found in the application's folder, from wherever it is started", async () => {
  const { folder, run } = application();
  symlinkSync(libsql, join(folder, "node_modules", "libsql"));
  expect(await run()).toBe("works");
  expect(await run(undefined, "/")).toBe("works");
  expect(await run("better-sqlite3")).toContain("npm install better-sqlite3");
});

test("a driver is found in the working directory", async () => {
  const { run } = application();
  const other = directory();
  mkdirSync(join(other, "node_modules"));
  symlinkSync(libsql, join(other, "node_modules", "libsql"));
  expect(await run(undefined, other)).toBe("works");
});

test("better-sqlite3 is preferred where both are, unless the other is asked for", async () => {
  const { folder, run } = application();
  symlinkSync(libsql, join(folder, "node_modules", "libsql"));
  install(folder, "better-sqlite3", "12.11.1", works);
  expect(await run()).toBe("works by better-sqlite3");
  expect(await run("libsql")).toBe("works");
});

test.runIf(old)("a better-sqlite3 that would take this Node down is not loaded", async () => {
  const { folder, run } = application();
  install(folder, "better-sqlite3", "13.2.0", "process.exit(99)");
  expect(await run()).toMatch(/npm install libsql; better-sqlite3 .* 13\.2\.0 needs Node 22, this is v20/);
  symlinkSync(libsql, join(folder, "node_modules", "libsql"));
  expect(await run()).toBe("works");
});

test("a driver that is installed but does not load is passed over, and named when there is no other", async () => {
  const { folder, run } = application();
  install(
    folder,
    "better-sqlite3",
    "12.11.1",
    "module.exports = class { constructor() { throw new Error('no native part') } }",
  );
  expect(await run()).toMatch(
    /npm install libsql; better-sqlite3 is installed but does not load: Error: no native part$/,
  );
  symlinkSync(libsql, join(folder, "node_modules", "libsql"));
  expect(await run()).toBe("works");
});

test("the driver of a server that is not installed is told with the line to type, as soon as the server is named", async () => {
  const { folder, run } = application();
  const program = `import { sqlProvider } from "@dlock/sql";
for (const url of ["postgres://db/app", "mariadb://db/app"])
  try { sqlProvider({ url }) } catch ({ code, message }) { console.log(code, message) }`;
  writeFileSync(join(folder, "main.mjs"), program);
  const sentence = (name: string) =>
    `LOCK_CONFIG driver: "${name}" is not accepted; expected the driver to be installed: npm install ${name}`;
  expect((await run()).split("\n")).toEqual([sentence("pg"), sentence("mysql2")]);
});

test("the driver of a server is also found in the working directory", async () => {
  const [{ folder, run }, elsewhere] = [application(), directory()];
  const main = "module.exports = { Client: class { constructor() { console.log('theirs'); process.exit() } } };";
  install(elsewhere, "pg", "8.0.0", main);
  const program = `import { sqlProvider } from "@dlock/sql"; await sqlProvider({ url: "postgres://db/app" }).connect()`;
  writeFileSync(join(folder, "main.mjs"), program);
  expect(await run(undefined, elsewhere)).toBe("theirs");
});
