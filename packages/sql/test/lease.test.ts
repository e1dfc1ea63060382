import { join } from "node:path";
import { LockBackendError, LockClosedError } from "@dlock/core";
import { expect, test } from "vitest";
import { ask, claim, directory, foreign, now, open, sleep } from "./store.js";

test("a repeat while the lease lasts gives the same token and restarts the lease at the full ttl", async () => {
  const provider = open(join(directory(), "locks.db"));
  const holder = claim(provider, "key", 400);
  const token = await ask(holder);
  await sleep(250);
  expect(await ask(holder)).toBe(token);
  const [seen] = (await provider.inspect("key")).holders;
  expect(seen?.expiresIn).toBeGreaterThan(350);
  expect(seen?.fencingToken).toBe(token);
});

test("what a claim takes after its lease ended is another hold, with a larger token, also when nobody came between", async () => {
  const holder = claim(open(join(directory(), "locks.db")), "key", 30);
  const first = await ask(holder);
  await sleep(40);
  expect(await holder.renew(1_000)).toBe(false);
  expect(await ask(holder)).toBeGreaterThan(first ?? 0n);
});

test("a stale release leaves the successor's hold alone", async () => {
  const file = join(directory(), "locks.db");
  const [here, there] = [open(file), open(file)];
  const stale = claim(here, "key", 30);
  const first = await ask(stale);
  await sleep(40);
  const successor = claim(there, "key");
  const second = await ask(successor);
  expect(second).toBeGreaterThan(first ?? 0n);
  expect(await stale.renew(1_000)).toBe(false);
  await stale.release();
  expect((await here.inspect("key")).holders).toMatchObject([{ owner: "test", fencingToken: second }]);
  expect(await successor.renew(60_000)).toBe(true);
});

test("a claim that only waited writes nothing when it is released", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  await ask(claim(provider, "key"));
  const waiter = claim(provider, "key");
  expect(await ask(waiter)).toBeUndefined();
  const writer = foreign(file);
  writer.exec("BEGIN IMMEDIATE");
  const since = now();
  await waiter.release();
  expect(now() - since).toBeLessThan(3_000);
});

test("a released claim takes nothing any more, and its release during an attempt undoes it", async () => {
  const provider = open(join(directory(), "locks.db"));
  for (let turns = 0; turns < 6; turns++) {
    const early = claim(provider, "key");
    const attempt = ask(early);
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    await early.release();
    await attempt;
    expect((await provider.inspect("key")).holders).toEqual([]);
    expect(await ask(early)).toBeUndefined();
  }
});

test("tokens are exact beyond 2^53", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  await provider.createSchema();
  foreign(file).exec(`INSERT INTO dlock_leases VALUES ('key', '', '', ${2n ** 53n + 2n}, 0)`);
  expect(await ask(claim(provider, "key"))).toBe(2n ** 53n + 3n);
  expect((await provider.inspect("key")).holders[0]?.fencingToken).toBe(2n ** 53n + 3n);
});

test("a token exceeds the one before even when the clock went back", async () => {
  const file = join(directory(), "locks.db");
  const provider = open(file);
  const holder = claim(provider, "key");
  await ask(holder);
  await holder.release();
  const ahead = BigInt(Date.now() + 3_600_000) * 1_000n;
  foreign(file).exec(`UPDATE dlock_leases SET version = ${ahead} WHERE key = 'key'`);
  expect(await ask(claim(provider, "key"))).toBe(ahead + 1n);
});

test("rows that were free for a day are deleted, those with a token ahead of the clock and those that are held are not", async () => {
  const file = join(directory(), "locks.db");
  await open(file).createSchema();
  const side = foreign(file);
  const [long, recent, ahead] = [Date.now() - 90_000_000, Date.now() - 80_000_000, Date.now() + 1_000];
  for (const [key, claimed, version, expires] of [
    ["free", "", long, 0],
    ["dead", "x", long, long + 10],
    ["recent", "", recent, 0],
    ["ahead", "", ahead, 0],
    ["held", "x", long, ahead],
  ]) {
    side.exec(`INSERT INTO dlock_leases VALUES ('${key}', '${claimed}', '', ${version} * 1000, ${expires})`);
  }
  const provider = open(file);
  const keys = () => side.prepare("SELECT key FROM dlock_leases WHERE key <> '' ORDER BY key").all();
  await provider.connect();
  expect(keys()).toEqual([{ key: "ahead" }, { key: "held" }, { key: "recent" }]);
  side.exec(`INSERT INTO dlock_leases VALUES ('free', '', '', ${long} * 1000, 0)`);
  for (let release = 0; release < 32; release++) {
    const holder = claim(provider, "recent");
    await ask(holder);
    await holder.release();
  }
  expect(keys()).toEqual([{ key: "ahead" }, { key: "held" }, { key: "recent" }]);
});

test("a forced release frees the lock and the next token is larger", async () => {
  const provider = open(join(directory(), "locks.db"));
  const evicted = claim(provider, "key");
  const token = await ask(evicted);
  expect(await provider.forceRelease("key")).toBe(true);
  expect(await provider.forceRelease("key")).toBe(false);
  expect(await provider.forceRelease("")).toBe(false);
  expect(await evicted.renew(1_000)).toBe(false);
  expect(await ask(claim(provider, "key"))).toBeGreaterThan(token ?? 0n);
});

test("keys are told apart byte by byte", async () => {
  const provider = open(join(directory(), "locks.db"));
  const keys = [
    "a",
    "A",
    "a ",
    "é",
    "e\u0301",
    "ß",
    "ss",
    "'; --",
    '"',
    "??",
    ":key",
    "%",
    "_",
    "日本",
    "😀",
    "k".repeat(4_000),
  ];
  for (const key of keys) expect(await ask(claim(provider, key))).toBeTypeOf("bigint");
  for (const key of keys) expect(await ask(claim(provider, key))).toBeUndefined();
});

test("waitTurn returns when the lease was given up, ends, or is waited for no longer", async () => {
  const file = join(directory(), "locks.db");
  const [here, there] = [open(file), open(file)];
  const turn = async (aborter = new AbortController()): Promise<number> => {
    const since = now();
    await claim(there, "key").waitTurn?.(aborter.signal);
    return now() - since;
  };
  expect(await turn()).toBeLessThan(3_000);
  const dead = claim(here, "key", 600);
  await ask(dead);
  expect(await turn()).toBeGreaterThan(150);
  const holder = claim(here, "key");
  await ask(holder);
  const aborter = new AbortController();
  setTimeout(() => aborter.abort(), 30);
  expect(await turn(aborter)).toBeLessThan(3_000);
  expect(await turn(aborter)).toBeLessThan(3_000);
  setTimeout(() => void holder.release(), 100);
  expect(await turn()).toBeLessThan(3_000);
});

test("an attempt that comes after its deadline has no effect", async () => {
  const provider = open(join(directory(), "locks.db"));
  const late = ask(claim(provider, "key"), -1);
  await expect(late).rejects.toThrow(LockBackendError);
  expect((await provider.inspect("key")).holders).toEqual([]);
});

test("closing twice does what closing once does, and whatever comes later is told so", async () => {
  const provider = open(join(directory(), "locks.db"));
  const holder = claim(provider, "key");
  await ask(holder);
  const waiter = claim(provider, "key");
  await ask(waiter);
  const turn = waiter.waitTurn?.(new AbortController().signal);
  await Promise.all([provider.close(), provider.close()]);
  await expect(turn).rejects.toThrow(LockClosedError);
  await expect(ask(claim(provider, "other"))).rejects.toThrow(LockClosedError);
  await expect(holder.renew(1_000)).rejects.toThrow(LockClosedError);
  await expect(holder.release()).rejects.toThrow(LockClosedError);
  await expect(provider.inspect("key")).rejects.toThrow(LockClosedError);
  await expect(provider.connect()).rejects.toThrow(LockClosedError);
  const untouched = open("/nowhere/locks.db");
  await untouched.close();
});

test("a loop that does nothing but lock leaves timers their turn", async () => {
  const provider = open(join(directory(), "locks.db"));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  for (let round = 0; round < 300; round++) {
    const holder = claim(provider, "key");
    await ask(holder);
    await holder.release();
  }
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(10);
});
