import { createLocks, LockLostError } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { faulty } from "./support.js";

test("a section gets its lock and hands its result through", async () => {
  const locks = await createLocks("memory:");
  const seen = await locks.withLock("stock:42", async (lock) => {
    lock.throwIfLost(200);
    expect(lock.signal.aborted).toBe(false);
    return [lock.key, typeof lock.fencingToken, lock.ttl] as const;
  });
  expect(seen).toEqual(["stock:42", "bigint", 30_000]);
  expect(await locks.inspect("stock:42")).toMatchObject({ holders: [], waiters: [] });
});

test("one section at a time, and every later token is larger", async () => {
  const locks = await createLocks("memory:");
  let inside = 0;
  let most = 0;
  const tokens: bigint[] = [];
  const section = () =>
    locks.withLock("k", undefined, async (lock) => {
      most = Math.max(most, ++inside);
      tokens.push(lock.fencingToken);
      await new Promise(setImmediate);
      inside--;
    });
  await Promise.all(Array.from({ length: 20 }, section));
  expect(most).toBe(1);
  expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => (a < b ? -1 : 1)));
});

test("the task's own error wins, also over a loss, and the lock is given up", async () => {
  const locks = await createLocks("memory:");
  const failure = new Error("no stock");
  await expect(locks.withLock("k", () => Promise.reject(failure))).rejects.toBe(failure);
  await expect(
    locks.withLock("k", { ttl: 20, autoRenew: false }, async (lock) => {
      await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
      throw failure;
    }),
  ).rejects.toBe(failure);
  expect(await locks.tryAcquire("k")).toBeDefined();
});

test("a task that throws synchronously or returns a plain value is a section as well", async () => {
  const locks = await createLocks("memory:");
  expect(await locks.withLock("k", () => 7)).toBe(7);
  const thrown = locks.withLock("k", () => {
    throw new Error("at once");
  });
  await expect(thrown).rejects.toThrow("at once");
  expect(await locks.tryWithLock("k", () => "free")).toEqual({ result: "free" });
});

test("a task that returned although the hold was lost rejects with the loss and keeps its result", async () => {
  const locks = await createLocks("memory:");
  const error = await locks
    .withLock("k", { ttl: 20, autoRenew: false }, async (lock) => {
      await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
      return { sold: 1 };
    })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LockLostError);
  expect(error).toMatchObject({ code: "LOCK_LOST", key: "k", result: { sold: 1 } });
  const undefinedResult = await locks
    .withLock(
      "k",
      { ttl: 20, autoRenew: false },
      (lock) => new Promise<void>((r) => lock.signal.addEventListener("abort", () => r())),
    )
    .catch((reason: unknown) => reason as object);
  expect("result" in (undefinedResult as object)).toBe(true);
});

test("a stalled event loop is noticed when the task returns, before any timer had a chance", async () => {
  const locks = await createLocks("memory:");
  const stalled = locks.withLock("k", { ttl: 30 }, (lock) => {
    for (const end = performance.now() + 50; performance.now() < end;);
    expect(lock.signal.aborted).toBe(false);
    expect(() => lock.throwIfLost()).toThrow(LockLostError);
    expect(lock.signal.aborted).toBe(true);
    return "late";
  });
  await expect(stalled).rejects.toMatchObject({ code: "LOCK_LOST", result: "late" });
});

test("trouble while releasing never masks the result, it is an event", async () => {
  const failed: unknown[] = [];
  const provider = faulty({ release: () => Promise.reject(new Error("cut")) });
  const locks = await createLocks(provider, {
    on: { releaseFailed: (event) => failed.push(event) },
    backendTimeout: 60,
  });
  expect(await locks.withLock("k", () => "sold")).toBe("sold");
  expect(failed).toMatchObject([{ key: "k", error: { code: "LOCK_BACKEND", cause: { message: "cut" } } }]);
});

test("try-section: skipped when busy, its result wrapped when not", async () => {
  const locks = await createLocks(memoryProvider());
  await locks.withLock("k", async () => {
    expect(await locks.tryWithLock("k", () => "never")).toBeUndefined();
    expect(await locks.tryAcquire("k")).toBeUndefined();
  });
  expect(await locks.tryWithLock("k", {}, () => undefined)).toEqual({ result: undefined });
});

test("release is idempotent, true once confirmed and false after a loss, and disposal releases", async () => {
  const locks = await createLocks("memory:");
  {
    await using lock = await locks.acquire("k");
    expect(JSON.parse(JSON.stringify(lock))).toEqual({
      key: "k",
      fencingToken: String(lock.fencingToken),
      ttl: 30_000,
    });
  }
  const lock = await locks.acquire("k", { waitTimeout: 0 });
  expect(await Promise.all([lock.release(), lock.release()])).toEqual([true, true]);
  expect(() => lock.throwIfLost()).toThrow("was given up");
  expect(lock.signal.aborted).toBe(false);
  const lost = await locks.acquire("k", { ttl: 20, autoRenew: false });
  const successor = await locks.acquire("k", { waitTimeout: 5_000 });
  expect(await lost.release()).toBe(false);
  expect((await locks.inspect("k")).holders).toMatchObject([{ fencingToken: successor.fencingToken }]);
});

test("locks under a prefix are the same locks by their whole key", async () => {
  const locks = await createLocks("memory:", { prefix: "app:" });
  const tenant = locks.prefixed("t1:");
  const lock = await tenant.acquire("a");
  expect(lock.key).toBe("app:t1:a");
  expect(await locks.tryAcquire("t1:a")).toBeUndefined();
  expect((await locks.prefixed("t1:").inspect("a")).holders).toHaveLength(1);
  await tenant.close();
  expect(await lock.release()).toBe(true);
  expect(await tenant.tryAcquire("a")).toBeDefined();
});
