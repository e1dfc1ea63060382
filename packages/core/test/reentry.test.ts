import { AsyncLocalStorage } from "node:async_hooks";
import { createLocks, LockReentryError } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { deferred, until } from "./support.js";

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

test("a hold that ended while the event loop was stalled is none, before any timer says so", async () => {
  const locks = await createLocks("memory:");
  const section = locks.withLock("k", { ttl: 30 }, async () => {
    for (const end = performance.now() + 60; performance.now() < end;);
    return locks.withLock("k", { waitTimeout: 5_000 }, () => "in");
  });
  await expect(section).rejects.toMatchObject({ code: "LOCK_LOST", result: "in" });
});

test("what a hold does later, it does in the async context that asked for it, not in that of whoever waited first", async () => {
  const requests = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const locks = await createLocks("memory:", { on: { renewed: () => seen.push(requests.getStore()) } });
  const holder = await locks.acquire("inner");
  const gate = deferred();
  const section = locks.withLock("outer", async () => {
    await requests.run("first", async () => (await locks.acquire("inner", { ttl: 600 })).release());
    await gate.promise;
  });
  await until(async () => (await locks.inspect("inner")).waiters.length === 1);
  const second = requests.run("second", () => locks.acquire("inner", { ttl: 600 }));
  await holder.release();
  const lock = await second;
  await until(() => seen.length > 0);
  expect(new Set(seen)).toEqual(new Set(["second"]));
  const inListener = new Promise((resolve) =>
    lock.signal.addEventListener("abort", () =>
      resolve(locks.acquire("outer", { waitTimeout: 20 }).catch((reason: unknown) => reason)),
    ),
  );
  await locks.withLock("other", async () => (await lock.extend(30), undefined));
  for (const end = performance.now() + 60; performance.now() < end;);
  expect(await inListener).toMatchObject({ code: "LOCK_TIMEOUT" });
  gate.resolve();
  await section;
});

test("a section that starts its successor does not keep its predecessors", async () => {
  const locks = await createLocks("memory:");
  const heap: number[] = [];
  for (let round = 0; round < 4; round++) {
    await new Promise<void>((resolve) => {
      let left = 3_000;
      const next = () =>
        void locks.withLock(`k${left}`, async () => {
          if (left-- === 0) resolve();
          else setImmediate(next);
        });
      next();
    });
    globalThis.gc!();
    heap.push(process.memoryUsage().heapUsed);
  }
  expect(heap.at(-1)! - heap[1]!).toBeLessThan(1_500_000);
});

test("a lock taken by acquire does not make its context a section", async () => {
  const locks = await createLocks("memory:");
  const lock = await locks.acquire("k");
  await expect(locks.acquire("k", { waitTimeout: 10 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
  await lock.release();
});
