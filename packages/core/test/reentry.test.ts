import { createLocks, LockReentryError } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { deferred } from "./support.js";

test("waiting for a lock inside its own section is refused at once", async () => {
  const locks = await createLocks("memory:", { prefix: "p:" });
  await locks.withLock("k", async () => {
    await expect(locks.withLock("k", () => {})).rejects.toBeInstanceOf(LockReentryError);
    await expect(locks.acquire("k", { waitTimeout: 1_000 })).rejects.toMatchObject({
      code: "LOCK_REENTRY",
      key: "p:k",
    });
    await locks.withLock("other", async () => {
      await expect(locks.acquire("k")).rejects.toBeInstanceOf(LockReentryError);
    });
    expect(await locks.tryAcquire("k")).toBeUndefined();
  });
});

test("the same key elsewhere is another lock: under a prefix, or on another backend", async () => {
  const [locks, others] = await Promise.all([createLocks("memory:"), createLocks(memoryProvider())]);
  const seen = await locks.withLock("k", () =>
    others.withLock("k", () => locks.prefixed("t:").withLock("k", () => "in")),
  );
  expect(seen).toBe("in");
});

test("a child that outlives the section holds nothing: it waits like anybody else", async () => {
  const locks = await createLocks("memory:");
  const gate = deferred();
  let child: Promise<string> | undefined;
  await locks.withLock("k", () => {
    child = gate.promise.then(() => locks.withLock("k", { waitTimeout: 5_000 }, () => "got it"));
  });
  const successor = await locks.acquire("k");
  gate.resolve();
  await new Promise(setImmediate);
  expect((await locks.inspect("k")).waiters).toHaveLength(1);
  await successor.release();
  expect(await child).toBe("got it");
});

test("a section whose hold was lost may take the lock anew", async () => {
  const locks = await createLocks("memory:");
  const section = locks.withLock("k", { ttl: 20, autoRenew: false }, async (lock) => {
    await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
    return locks.withLock("k", { waitTimeout: 5_000 }, (again) => again.fencingToken > lock.fencingToken);
  });
  await expect(section).rejects.toMatchObject({ code: "LOCK_LOST", result: true });
});

test("a lock taken by acquire does not make its context a section", async () => {
  const locks = await createLocks("memory:");
  const lock = await locks.acquire("k");
  await expect(locks.acquire("k", { waitTimeout: 10 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
  await lock.release();
});
