import { createLocks, LockLostError, LockTimeoutError } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { faulty, until } from "./support.js";

test("takes all keys in one order for everybody, without duplicates, and gives all of them up", async () => {
  const locks = await createLocks("memory:");
  const set = await locks.acquireAll(["b", "a", "c", "a"]);
  expect(set.locks.map(({ key }) => key)).toEqual(["a", "b", "c"]);
  set.throwIfLost(100);
  expect(await set.release()).toBe(true);
  expect(await set.release()).toBe(true);
  for (const key of ["a", "b", "c"]) expect((await locks.inspect(key)).holders).toEqual([]);
});

test("two that want the same keys in opposite orders never wait for each other", async () => {
  const store = memoryStore();
  const peers = await Promise.all([1, 2].map(() => createLocks(memoryProvider({ store }))));
  let inside = 0;
  await Promise.all(
    peers.map(async (locks, index) => {
      for (let round = 0; round < 50; round++) {
        const set = await locks.acquireAll(index === 0 ? ["x", "y"] : ["y", "x"], { waitTimeout: 5_000 });
        inside += 1;
        expect(inside).toBe(1);
        await new Promise(setImmediate);
        inside -= 1;
        await set.release();
      }
    }),
  );
});

test("all or nothing: a key that stays busy is named, with the time of the whole call, and nothing is kept", async () => {
  const locks = await createLocks("memory:");
  const busy = await locks.acquire("b");
  const error = await locks.acquireAll(["c", "a", "b"], { waitTimeout: 60 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LockTimeoutError);
  expect(error).toMatchObject({ key: "b", waitTimeout: 60 });
  await expect(locks.acquireAll(["a", "b"], { waitTimeout: 0 })).rejects.toMatchObject({ key: "b", waitTimeout: 0 });
  const aborter = new AbortController();
  const waiting = locks.acquireAll(["a", "b"], { signal: aborter.signal });
  await until(async () => (await locks.inspect("b")).waiters.length === 1);
  aborter.abort("enough");
  await expect(waiting).rejects.toBe("enough");
  for (const key of ["a", "c"]) expect(await (await locks.tryAcquire(key))?.release()).toBe(true);
  await busy.release();
});

test("one deadline for all: what is waited for the first is not had for the second", async () => {
  const locks = await createLocks("memory:");
  const [a, b] = await Promise.all([locks.acquire("a"), locks.acquire("b")]);
  const start = performance.now();
  const waiting = locks.acquireAll(["a", "b"], { waitTimeout: 300 });
  setTimeout(() => void a.release(), 200);
  await expect(waiting).rejects.toMatchObject({ key: "b", waitTimeout: 300 });
  expect(performance.now() - start).toBeLessThan(480);
  await b.release();
});

test("the default of the locks is its deadline too, also where none is named", async () => {
  const locks = await createLocks("memory:", { waitTimeout: 30 });
  const busy = await locks.acquire("b");
  for (const options of [undefined, {}, { waitTimeout: undefined }]) {
    await expect(locks.acquireAll(["a", "b"], options)).rejects.toMatchObject({ key: "b", waitTimeout: 30 });
  }
  await busy.release();
});

test("what it holds is kept alive while it waits for the rest", async () => {
  const locks = await createLocks("memory:");
  const busy = await locks.acquire("b");
  const waiting = locks.acquireAll(["a", "b"], { ttl: 300 });
  await until(async () => (await locks.inspect("b")).waiters.length === 1);
  const { fencingToken } = (await locks.inspect("a")).holders[0]!;
  await new Promise((resolve) => setTimeout(resolve, 700));
  await busy.release();
  const set = await waiting;
  expect(set.locks[0]?.fencingToken).toBe(fencingToken);
  await set.release();
});

test("a part that is lost while it waits is taken anew", async () => {
  const provider = memoryProvider();
  const locks = await createLocks(provider);
  const busy = await locks.acquire("b");
  const waiting = locks.acquireAll(["a", "b"], { ttl: 60 });
  await until(async () => (await locks.inspect("b")).waiters.length === 1);
  const { fencingToken } = (await locks.inspect("a")).holders[0]!;
  await provider.forceRelease!("a");
  await new Promise((resolve) => setTimeout(resolve, 60));
  await busy.release();
  const set = await waiting;
  set.throwIfLost();
  expect(set.locks[0]?.fencingToken).toBeGreaterThan(fencingToken);
  await set.release();
});

test("the first loss is the loss of the set; a released set is not told of any", async () => {
  const provider = faulty({ renew: () => Promise.resolve(false) });
  const locks = await createLocks(provider);
  const set = await locks.acquireAll(["a", "b"], { ttl: 60 });
  await until(() => set.signal.aborted);
  expect(set.signal.reason).toBeInstanceOf(LockLostError);
  expect(() => set.throwIfLost()).toThrow(LockLostError);
  expect(await set.release()).toBe(false);
  const quiet = await createLocks("memory:");
  const released = await quiet.acquireAll(["a"], { ttl: 30, autoRenew: false });
  await released.release();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(released.signal.aborted).toBe(false);
});

test.each([[[]], ["a"], [[1]], [undefined]] as const)("%j is no array of keys", async (keys) => {
  const locks = await createLocks("memory:");
  await expect(locks.acquireAll(keys as never)).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "keys" });
  await expect(locks.acquireAll(["a", ""])).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "key" });
});

test("keys on different backends are one set, in the order of the keys, all or nothing", async () => {
  const [fast, safe] = [1, 2].map(() => `memory:${crypto.randomUUID()}`) as [string, string];
  const locks = await createLocks({ backends: { fast, safe }, default: "fast", routes: { "pay:*": "safe" } });
  const [onFast, onSafe] = await Promise.all([createLocks(fast), createLocks(safe)]);
  const holders = async () =>
    Promise.all([onFast.inspect("order:1"), onSafe.inspect("pay:1"), onFast.inspect("stock:1")]).then((all) =>
      all.map((status) => status.holders.length),
    );
  const keys = ["stock:1", "pay:1", "order:1"];
  const set = await locks.acquireAll(keys);
  expect(set.locks.map(({ key }) => key)).toEqual(["order:1", "pay:1", "stock:1"]);
  expect(await holders()).toEqual([1, 1, 1]);
  await set.release();
  const busy = await onSafe.acquire("pay:1");
  await expect(locks.acquireAll(keys, { waitTimeout: 30 })).rejects.toMatchObject({ key: "pay:1" });
  expect(await holders()).toEqual([0, 1, 0]);
  await busy.release();
});
