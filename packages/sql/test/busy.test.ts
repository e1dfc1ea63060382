import { join } from "node:path";
import { createLocks } from "@dlock/core";
import { expect, test } from "vitest";
import { ask, claim, directory, foreign, now, open, sleep } from "./store.js";

/** The longest time the event loop did not turn while `work` ran. */
async function longestStall(work: () => Promise<unknown>): Promise<number> {
  let [longest, last] = [0, now()];
  const look = (): void => {
    longest = Math.max(longest, now() - last);
    last = now();
  };
  const timer = setInterval(look, 2);
  try {
    await work();
    look();
    return longest;
  } finally {
    clearInterval(timer);
  }
}

test("a writer that shuts everybody out for 300 ms delays a hundred calls and stalls none of the process", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  const holder = claim(provider, "renewed");
  await ask(holder);
  const writer = foreign(file);
  writer.exec("BEGIN IMMEDIATE");
  setTimeout(() => writer.exec("ROLLBACK"), 300);
  const since = now();
  const stall = await longestStall(async () => {
    const claims = Array.from({ length: 100 }, (_, index) => ask(claim(provider, `key ${index}`)));
    expect(await holder.renew(60_000)).toBe(true);
    for (const token of await Promise.all(claims)) expect(token).toBeTypeOf("bigint");
  });
  expect(now() - since).toBeGreaterThan(280);
  expect(now() - since).toBeLessThan(4_000);
  expect(stall).toBeLessThan(280);
});

test("a database that stays locked is a retryable LockBackendError at the deadline", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  await provider.connect();
  const writer = foreign(file);
  writer.exec("BEGIN IMMEDIATE");
  const since = now();
  await expect(ask(claim(provider, "key"), 150)).rejects.toMatchObject({
    code: "LOCK_BACKEND",
    retryable: true,
    noEffect: true,
    message: `SQLite failed on ${file}: another connection kept it locked`,
    cause: { code: "SQLITE_BUSY" },
  });
  expect(now() - since).toBeLessThan(3_000);
  expect(now() - since).toBeGreaterThan(90);
  writer.exec("ROLLBACK");
  expect((await provider.inspect("key")).holders).toEqual([]);
});

test("a release ends the attempt that waits for a locked database, at once", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  await provider.connect();
  const writer = foreign(file);
  writer.exec("BEGIN IMMEDIATE");
  const early = claim(provider, "key");
  const attempt = ask(early);
  await sleep(20);
  const released = early.release();
  const since = now();
  expect(await attempt).toBeUndefined();
  expect(now() - since).toBeLessThan(3_000);
  writer.exec("ROLLBACK");
  await released;
  expect((await provider.inspect("key")).holders).toEqual([]);
});

test("a waiter that cannot even read is told when it is aborted, or that the database is locked", async () => {
  const file = join(directory(), "locks.db");
  foreign(file).exec("CREATE TABLE other (a); BEGIN EXCLUSIVE");
  const aborter = new AbortController();
  setTimeout(() => aborter.abort(), 50);
  const since = now();
  await claim(open(file), "key").waitTurn?.(aborter.signal);
  expect(now() - since).toBeLessThan(3_000);
  const turn = claim(open(file), "key").waitTurn?.(new AbortController().signal);
  await expect(turn).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
});

test("waiters read while somebody writes, and the first use waits for a locked database too", async () => {
  const file = join(directory(), "locks.db");
  const writer = foreign(file);
  writer.exec("PRAGMA journal_mode = WAL; CREATE TABLE other (a); BEGIN IMMEDIATE");
  setTimeout(() => writer.exec("COMMIT"), 100);
  const provider = open(file);
  const holder = claim(provider, "key");
  expect(await ask(holder)).toBeTypeOf("bigint");
  writer.exec("BEGIN IMMEDIATE");
  const aborter = new AbortController();
  setTimeout(() => aborter.abort(), 60);
  await claim(provider, "key").waitTurn?.(aborter.signal);
  expect((await provider.inspect("key")).holders).toHaveLength(1);
  writer.exec("COMMIT");
});

test("what was acquired after a locked database was waited for is committed", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  await provider.connect();
  const writer = foreign(file);
  writer.exec("BEGIN IMMEDIATE");
  await expect(ask(claim(provider, "given up"), 30)).rejects.toThrow();
  writer.exec("COMMIT");
  expect(await ask(claim(provider, "key"))).toBeTypeOf("bigint");
  expect(writer.prepare("SELECT key FROM dlock_leases WHERE key <> ''").all()).toEqual([{ key: "key" }]);
  writer.exec("BEGIN IMMEDIATE; COMMIT");
});

test("a hold outlasts writers that lock the database for longer than a renewal may take", async () => {
  const file = join(directory(), "locks.db");
  const locks = await createLocks(`sqlite:${file}`);
  const lock = await locks.acquire("key", { ttl: 900 });
  const writer = foreign(file);
  for (let round = 0; round < 2; round++) {
    writer.exec("BEGIN IMMEDIATE");
    await sleep(400);
    writer.exec("COMMIT");
    await sleep(100);
  }
  lock.throwIfLost();
  expect(await lock.release()).toBe(true);
  await locks.close();
});
