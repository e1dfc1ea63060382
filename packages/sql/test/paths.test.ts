import { fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocks, LockConfigError } from "@dlock/core";
import { expect, onTestFinished, test } from "vitest";
import { connect, directory, open } from "./store.js";

test("a path that cannot be a database is refused at the first use, with what would do", async () => {
  const root = directory();
  writeFileSync(join(root, "text"), "This is no database, and long enough to be looked at as one.".repeat(20));
  for (const [name, accepted] of [
    ["missing/locks.db", `a file in a directory that exists, which ${join(root, "missing")} does not`],
    ["text/locks.db", "a file in a directory that exists"],
    ["", "a file, not a directory"],
    ["text", "an SQLite database, or no file yet"],
  ] as const) {
    const filename = join(root, name);
    const refused = open(filename).connect();
    await expect(refused).rejects.toThrow(LockConfigError);
    await expect(refused).rejects.toMatchObject({
      field: "filename",
      value: filename,
      cause: expect.any(Error) as Error,
    });
    await expect(refused).rejects.toThrow(accepted);
  }
});

test("a device is refused: SQLite would call it locked, for ever", async () => {
  await expect(open("/dev/null").connect()).rejects.toThrow(/filename: "\/dev\/null" is not accepted; expected a file/);
});

test("the refusal reaches whoever asked for the lock, and names the url", async () => {
  const locks = await createLocks("sqlite:/nowhere/locks.db");
  onTestFinished(() => locks.close());
  for (const refused of [locks.acquire("key"), locks.tryAcquire("key"), locks.inspect("key")]) {
    await expect(refused).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "url", value: "/nowhere/locks.db" });
  }
  await expect(createLocks("sqlite:/nowhere/locks.db", { connect: true })).rejects.toThrow(LockConfigError);
});

test("a path that came right works without a new provider", async () => {
  const root = directory();
  const provider = open(join(root, "later", "locks.db"));
  await expect(provider.connect()).rejects.toThrow(LockConfigError);
  mkdirSync(join(root, "later"));
  await provider.connect();
});

test.skipIf(process.platform === "win32")("read-only files and directories are refused", async () => {
  const root = directory();
  chmodSync(root, 0o755);
  const at = (name: string, mode: number): string => {
    mkdirSync(join(root, name));
    const file = join(root, name, "locks.db");
    const other = connect(file);
    other.exec(name.includes("wal") ? "PRAGMA journal_mode = WAL; CREATE TABLE t (a)" : "CREATE TABLE t (a)");
    other.close();
    chmodSync(file, 0o444);
    chmodSync(join(root, name), mode);
    return file;
  };
  mkdirSync(join(root, "empty"), { mode: 0o555 });
  mkdirSync(join(root, "open"));
  chmodSync(join(root, "open"), 0o777);
  onTestFinished(() => ["empty", "a", "a-wal"].forEach((name) => chmodSync(join(root, name), 0o755)));
  const files = [
    join(root, "empty", "locks.db"),
    at("a", 0o555),
    at("a-wal", 0o555),
    at("b", 0o777),
    at("b-wal", 0o777),
    join(root, "open", "locks.db"),
  ];
  const child = fork(new URL("child/as-nobody.mjs", import.meta.url), files, { execArgv: [] });
  const [answers] = (await once(child, "message")) as [unknown[]];
  const refused = (file: string, accepted: string) => ({
    code: "LOCK_CONFIG",
    field: "filename",
    message: `filename: ${JSON.stringify(file.length > 60 ? `${file.slice(0, 57)}…` : file)} is not accepted; expected ${accepted}`,
    cause: true,
  });
  const keepsFiles = (file: string) =>
    refused(file, `a directory that this process may write to: SQLite keeps files beside ${file}`);
  const [inEmpty = "", readOnly = "", readOnlyWal = "", file = "", walFile = ""] = files;
  expect(answers).toEqual([
    keepsFiles(inEmpty),
    keepsFiles(readOnly),
    keepsFiles(readOnlyWal),
    refused(file, "a file that this process may read and write"),
    refused(walFile, "a file that this process may read and write"),
    expect.stringMatching(/^\d+$/),
  ]);
});
