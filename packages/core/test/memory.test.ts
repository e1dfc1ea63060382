import { createLocks } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { request, runProgram, until } from "./support.js";

test("what many rounds allocate is collected again", async () => {
  const store = memoryStore();
  const locks = await createLocks(memoryProvider({ store }));
  const { signal } = new AbortController();
  const heap: number[] = [];
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 2_000; i++) await locks.withLock(`key ${round} ${i}`, { signal }, () => {});
    await Promise.all(
      Array.from({ length: 500 }, () => locks.withLock("busy", { signal, waitTimeout: 60_000 }, () => {})),
    );
    await locks.withLock("held", () =>
      Promise.all(
        Array.from({ length: 300 }, () =>
          locks
            .prefixed("x")
            .tryAcquire("y", { signal })
            .then((lock) => lock?.release()),
        ),
      ),
    );
    await until(() => store.size === 0);
    globalThis.gc!();
    heap.push(process.memoryUsage().heapUsed);
  }
  // The first rounds warm up caches and compiled code. What each of the 14 000 calls after them may leave is a hundred bytes.
  const grown = heap.at(-1)! - heap[2]!;
  expect(grown).toBeLessThan(1_500_000);
});

test("leases run on the injected clock", async () => {
  let now = 1_700_000_000_000;
  const store = memoryStore({ now: () => now });
  const [mine, theirs] = [1, 2].map((id) =>
    memoryProvider({ store }).claim({
      key: "k",
      id: String(id),
      owner: "o",
      ttl: 1_000,
      mode: "exclusive",
      limit: 1,
      join: false,
    }),
  );
  const soon = performance.now() + 60_000;
  const token = await mine!.tryAcquire(soon);
  expect(token).toBe(1_700_000_000_000_000n);
  now += 999;
  expect(await theirs!.tryAcquire(soon)).toBeUndefined();
  now += 1;
  expect(await theirs!.tryAcquire(soon)).toBe(1_700_000_001_000_000n);
  expect(await mine!.renew!(1_000)).toBe(false);
  expect(await mine!.tryAcquire(soon)).toBeUndefined();
  now -= 3_600_000;
  await theirs!.release();
  expect(
    await memoryProvider({ store })
      .claim({ key: "j", id: "3", owner: "o", ttl: 1_000, mode: "exclusive", limit: 1, join: false })
      .tryAcquire(soon),
  ).toBe(1_700_000_001_000_001n);
});

test("a dead holder that nobody waits for is forgotten when its lease is over", async () => {
  const store = memoryStore();
  const claim = memoryProvider({ store }).claim({
    key: "k",
    id: "1",
    owner: "o",
    ttl: 30,
    mode: "exclusive",
    limit: 1,
    join: false,
  });
  await claim.tryAcquire(performance.now() + 1_000);
  expect(store.size).toBe(1);
  await until(() => store.size === 0);
});

test("a head of the line that does not come when it is called is passed over", async () => {
  const store = memoryStore();
  const locks = await createLocks(memoryProvider({ store }));
  const holder = await locks.acquire("k");
  const dead = memoryProvider({ store }).claim({
    key: "k",
    id: "dead",
    owner: "dead",
    ttl: 60_000,
    mode: "exclusive",
    limit: 1,
    join: true,
  });
  expect(await dead.tryAcquire(performance.now() + 1_000)).toBeUndefined();
  const waiter = locks.acquire("k");
  await until(() => store.inspect("k").waiters.length === 2);
  await holder.release();
  const since = performance.now();
  const lock = await waiter;
  expect(performance.now() - since).toBeLessThan(5_000);
  await lock.release();
  expect(store.size).toBe(0);
});

test("forceRelease ends a hold, and the next token is larger", async () => {
  const provider = memoryProvider();
  const locks = await createLocks(provider);
  const lock = await locks.acquire("k");
  expect(await provider.forceRelease!("k")).toBe(true);
  expect(await provider.forceRelease!("k")).toBe(false);
  const next = await locks.acquire("k");
  expect(next.fencingToken > lock.fencingToken).toBe(true);
  await next.release();
  expect(await lock.release()).toBe(true);
});

test("a head of the line keeps its place over a stall of the event loop", async () => {
  const store = memoryStore();
  const [locks, elsewhere] = await Promise.all([1, 2].map(() => createLocks(memoryProvider({ store }))));
  const holder = await locks!.acquire("k");
  const order: string[] = [];
  const waits = [];
  for (const [name, from] of [
    ["first", locks!],
    ["second", elsewhere!],
  ] as const) {
    waits.push(from.withLock("k", { ttl: 20_000 }, () => void order.push(name)));
    await until(() => store.inspect("k").waiters.length === waits.length);
  }
  void holder.release();
  for (const end = performance.now() + 1_100; performance.now() < end;);
  await Promise.all(waits);
  expect(order).toEqual(["first", "second"]);
});

test("a process that only waits stays alive until the dead holder's lease is over", async () => {
  const program = `
    import { createLocks } from "@dlock/core";
    const locks = await createLocks("memory:");
    await locks.acquire("k", { ttl: 150, autoRenew: false });
    const lock = await locks.acquire("k");
    console.log("in");
    await lock.release();`;
  expect(await runProgram(program)).toBe("in\n");
});

test("a process whose work is done exits although it still holds a lock", async () => {
  const program = `
    import { createLocks } from "@dlock/core";
    const locks = await createLocks("memory:");
    await locks.acquire("k", { ttl: 3600_000 });
    console.log("done");`;
  expect(await runProgram(program)).toBe("done\n");
});

test("nobody who asks out of turn gets a free lock that is waited for, nor a claim that was given up", async () => {
  const store = memoryStore();
  const claims = ["1", "2", "3"].map((id) => memoryProvider({ store }).claim({ ...request, id, join: id === "2" }));
  const soon = performance.now() + 60_000;
  expect(await claims[0]!.tryAcquire(soon)).toBeDefined();
  expect(await claims[1]!.tryAcquire(soon)).toBeUndefined();
  await claims[0]!.release();
  expect(await claims[2]!.tryAcquire(soon)).toBeUndefined();
  await claims[1]!.release();
  expect(await claims[1]!.tryAcquire(soon)).toBeUndefined();
  await expect(claims[2]!.tryAcquire(performance.now() - 1)).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  expect(store.size).toBe(0);
});
