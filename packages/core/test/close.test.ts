import { createLocks, LockClosedError, LockConfigError } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { faulty, never, until } from "./support.js";

test("close ends waiters and single tries, refuses new calls, and is idempotent", async () => {
  const locks = await createLocks(memoryProvider());
  const holder = await locks.acquire("k");
  const waiter = locks.acquire("k").catch((reason: unknown) => reason);
  const closing = locks.close();
  expect(await waiter).toBeInstanceOf(LockClosedError);
  await Promise.all([closing, locks.close()]);
  for (const call of [
    () => locks.acquire("k"),
    () => locks.tryAcquire("k"),
    () => locks.withLock("k", () => {}),
    () => locks.inspect("k"),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: "LOCK_CLOSED" });
  }
  expect(await holder.release()).toBe(false);
});

test("running sections get their grace, and what remains is aborted before it is released", async () => {
  const store = memoryStore();
  const locks = await createLocks(memoryProvider({ store }));
  const order: string[] = [];
  let finish = () => {};
  const quick = locks
    .withLock("quick", () => new Promise<void>((resolve) => (finish = resolve)))
    .then(() => order.push("quick done"));
  const hung = await locks.acquire("hung");
  hung.signal.addEventListener("abort", () =>
    order.push(store.inspect("hung").holders.length === 1 ? "aborted while held" : "too late"),
  );
  const closing = locks.close({ grace: 80 });
  finish();
  await closing;
  await quick;
  expect(order).toEqual(["quick done", "aborted while held"]);
  expect(hung.signal.reason).toMatchObject({ code: "LOCK_LOST", message: expect.stringContaining("close()") });
  await until(() => store.size === 0);
});

test("close returns as soon as the last section is over", async () => {
  const locks = await createLocks("memory:");
  let started = false;
  const section = locks.withLock("k", () => {
    started = true;
    return new Promise((resolve) => setTimeout(resolve, 30));
  });
  await until(() => started);
  const since = performance.now();
  await locks.close({ grace: 20_000 });
  expect(performance.now() - since).toBeLessThan(10_000);
  await section;
});

test("only what we opened is closed, and everything of ours is released by then", async () => {
  let closed = 0;
  const store = memoryStore();
  const provider = Object.assign(memoryProvider({ store }), { close: async () => void closed++ });
  {
    await using locks = await createLocks(provider);
    await locks.acquire("k");
  }
  expect(closed).toBe(0);
  expect(store.size).toBe(0);
});

test("releases that are under way have arrived by the time close returns", async () => {
  const store = memoryStore();
  const slow = faulty(
    { release: (inner) => new Promise((resolve) => setTimeout(() => resolve(inner()), 40)) },
    memoryProvider({ store }),
  );
  const locks = await createLocks(slow);
  const [, other] = await Promise.all([locks.acquire("cut off"), locks.acquire("given up")]);
  const released = other.release();
  await locks.close();
  expect(store.size).toBe(0);
  expect(await released).toBe(true);
});

test("a place in line is given up by the time close returns", async () => {
  const store = memoryStore();
  const [locks, elsewhere] = await Promise.all([
    createLocks(memoryProvider({ store })),
    createLocks(memoryProvider({ store })),
  ]);
  const holder = await elsewhere.acquire("k");
  const waiter = locks.acquire("k").catch((reason: unknown) => reason);
  await until(() => store.inspect("k").waiters.length === 1);
  await locks.close();
  expect(store.inspect("k").waiters).toEqual([]);
  expect(await waiter).toBeInstanceOf(LockClosedError);
  await holder.release();
});

test("what will not work however often it is tried does not hold up close", async () => {
  const refuse = () => Promise.reject(new LockConfigError("url", "sqlite:/nowhere", "a folder that exists"));
  const locks = await createLocks(faulty({ tryAcquire: refuse, release: refuse }));
  await expect(locks.acquire("k")).rejects.toBeInstanceOf(LockConfigError);
  const since = performance.now();
  await locks.close();
  expect(performance.now() - since).toBeLessThan(5_000);
});

test("a backend that is silent does not hold up close for ever", async () => {
  const locks = await createLocks(faulty({ release: () => never() }), { backendTimeout: 50 });
  await locks.acquire("k");
  await locks.close();
});
