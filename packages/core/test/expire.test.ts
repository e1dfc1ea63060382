import { createLocks, LockConfigError, LockLostError, type LockProvider, monotonicNow } from "@dlock/core";
import { migrate, observe, prefix, quorum, route } from "@dlock/core/combinators";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { deferred, faulty, never, runProgram, until } from "./support.js";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A provider whose holds end with their process. */
const session = (): LockProvider => {
  const live = { lost: new AbortController().signal, certainUntil: () => monotonicNow() + 60_000 };
  const provider = faulty({ claim: (_, make) => Object.assign(make(), live) });
  return { ...provider, guarantees: { ...provider.guarantees, alive: "session" } };
};

describe("under fake timers", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ["less than was left", 1_000, 400],
    ["more than the ttl", 300, 5_000],
    ["less than the shortest lease", 300, 3],
  ])("the lease ends at the time that was asked for, %s, and nobody renews it", async (_, ttl, ms) => {
    const store = memoryStore();
    const renewals: number[] = [];
    const provider = faulty({ renew: (inner, asked) => (renewals.push(asked), inner()) }, memoryProvider({ store }));
    const released: unknown[] = [];
    const lost: unknown[] = [];
    const locks = await createLocks(provider, {
      on: { released: (event) => released.push(event), lost: (event) => lost.push(event) },
    });
    const lock = await locks.acquire("k", { ttl });
    await vi.advanceTimersByTimeAsync(ttl / 2);
    const before = renewals.length;
    const since = performance.now();
    expect(await lock.expireIn(ms)).toBe(true);
    expect(() => lock.throwIfLost()).toThrow("was given up");
    await expect(lock.extend()).rejects.toThrow("was given up");
    const waiter = locks.acquire("k").then(() => performance.now() - since);
    await vi.advanceTimersByTimeAsync(ms + 50);
    const waited = await waiter;
    expect(waited).toBeGreaterThanOrEqual(ms);
    expect(waited).toBeLessThanOrEqual(Math.max(ms, 10) + 2);
    expect(renewals.slice(before)).toEqual([Math.max(ms, 10)]);
    expect(lock.signal.aborted).toBe(false);
    expect(lost).toEqual([]);
    expect(released).toEqual([
      {
        key: "k",
        owner: expect.any(String),
        mode: "exclusive",
        fencingToken: lock.fencingToken,
        heldFor: expect.any(Number),
        expiresIn: expect.closeTo(ms, 0),
      },
    ]);
  });

  test("a renewal that is under way is waited for, also one that core has given up on", async () => {
    for (const delay of [50, 250]) {
      const store = memoryStore();
      let [now, most, slow] = [0, 0, true];
      const provider = faulty(
        {
          renew: async (inner) => {
            most = Math.max(most, ++now);
            if (slow) await sleep(delay);
            now--;
            return inner();
          },
        },
        memoryProvider({ store }),
      );
      const locks = await createLocks(provider);
      const lock = await locks.acquire("k", { ttl: 600 });
      await vi.advanceTimersByTimeAsync(210);
      slow = false;
      const since = performance.now();
      const left = lock.expireIn(300);
      await vi.advanceTimersByTimeAsync(delay);
      expect(await left).toBe(true);
      expect(most).toBe(1);
      await vi.advanceTimersByTimeAsync(since + 295 - performance.now());
      expect(store.size).toBe(1);
      await vi.advanceTimersByTimeAsync(10);
      expect(store.inspect("k").holders).toEqual([]);
    }
  });

  test("a renewal that takes effect after all the same does not keep the lock for longer", async () => {
    const store = memoryStore();
    const gate = deferred();
    const provider = faulty(
      { renew: async (inner, ttl) => (ttl === 600 ? (await gate.promise, inner()) : inner()) },
      memoryProvider({ store }),
    );
    const locks = await createLocks(provider, { backendTimeout: 100 });
    const lock = await locks.acquire("k", { ttl: 600 });
    await vi.advanceTimersByTimeAsync(210);
    const since = performance.now();
    const left = lock.expireIn(400);
    await vi.advanceTimersByTimeAsync(120);
    expect(await left).toBe(true);
    gate.resolve();
    await vi.advanceTimersByTimeAsync(10);
    expect(store.inspect("k").holders[0]?.expiresIn).toBeCloseTo(since + 400 - performance.now(), -1);
  });

  test("an attempt that takes effect after all the same does not keep the lock for longer", async () => {
    const store = memoryStore();
    let attempts = 0;
    const retryable = Object.assign(new Error("reply lost"), { retryable: true });
    const provider = faulty(
      {
        tryAcquire: async (inner) => {
          if (attempts++ > 0) return inner();
          setTimeout(() => void inner(), 700);
          throw retryable;
        },
      },
      memoryProvider({ store }),
    );
    const locks = await createLocks(provider, { backendTimeout: 1_000 });
    const acquiring = locks.acquire("k", { ttl: 30_000 });
    await vi.advanceTimersByTimeAsync(300);
    const since = performance.now();
    expect(await (await acquiring).expireIn(5_000)).toBe(true);
    await vi.advanceTimersByTimeAsync(500);
    expect(store.inspect("k").holders[0]?.expiresIn).toBeGreaterThan(20_000);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(store.inspect("k").holders[0]?.expiresIn).toBeCloseTo(since + 5_000 - performance.now(), -1);
  });

  test("false, and an event, when nobody knows; the lease then ends as it would have, and is tried for meanwhile", async () => {
    let broken = true;
    const store = memoryStore();
    const failed: unknown[] = [];
    const provider = faulty(
      { renew: (inner) => (broken ? Promise.reject(new Error("cut")) : inner()) },
      memoryProvider({ store }),
    );
    const locks = await createLocks(provider, {
      backendTimeout: 500,
      on: { releaseFailed: (event) => failed.push(event) },
    });
    const lock = await locks.acquire("k", { ttl: 30_000 });
    const since = performance.now();
    const left = lock.expireIn(20_000);
    await vi.advanceTimersByTimeAsync(600);
    expect(await left).toBe(false);
    expect(failed).toHaveLength(1);
    expect(store.inspect("k").holders[0]?.expiresIn).toBeGreaterThan(25_000);
    broken = false;
    await vi.advanceTimersByTimeAsync(3_000);
    expect(store.inspect("k").holders[0]?.expiresIn).toBeCloseTo(since + 20_000 - performance.now(), -1);
  });

  test("what could not be confirmed before its time is over is released", async () => {
    const store = memoryStore();
    let renewals = 0;
    const provider = faulty({ renew: () => (renewals++, Promise.reject(new Error("cut"))) }, memoryProvider({ store }));
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 30_000 });
    const left = lock.expireIn(200);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(await left).toBe(true);
    expect(renewals).toBeGreaterThan(0);
    expect(store.size).toBe(0);
  });

  test("a silent backend ends the call after backendTimeout", async () => {
    const locks = await createLocks(faulty({ renew: () => never() }), { backendTimeout: 500 });
    const lock = await locks.acquire("k", { ttl: 30_000 });
    const left = lock.expireIn(20_000);
    await vi.advanceTimersByTimeAsync(510);
    expect(await left).toBe(false);
  });

  test("false for a hold that was lost before, and for one that the backend has ended; whose lock it is now, it stays", async () => {
    const store = memoryStore();
    const events: string[] = [];
    const locks = await createLocks(memoryProvider({ store }), {
      on: { lost: () => events.push("lost"), releaseFailed: () => events.push("releaseFailed") },
    });
    const lost = await locks.acquire("k", { ttl: 100, autoRenew: false });
    await vi.advanceTimersByTimeAsync(100);
    expect(await lost.expireIn(50)).toBe(false);
    expect(events).toEqual(["lost"]);
    const ended = await locks.acquire("k2", { ttl: 3_000 });
    store.forceRelease("k2");
    const next = await (await createLocks(memoryProvider({ store }))).acquire("k2", { ttl: 1_000 });
    expect(await ended.expireIn(50_000)).toBe(false);
    expect(events).toEqual(["lost", "releaseFailed"]);
    next.throwIfLost();
    expect(store.inspect("k2").holders[0]?.expiresIn).toBeLessThanOrEqual(1_000);
    await vi.advanceTimersByTimeAsync(60_000);
    next.throwIfLost();
  });

  test("what was called first decides, release or expireIn; 0 is a release", async () => {
    const store = memoryStore();
    const locks = await createLocks(memoryProvider({ store }));
    const first = await locks.acquire("k");
    const left = first.expireIn(500);
    expect(await Promise.all([left, first.release(), first.expireIn(9_000)])).toEqual([true, true, true]);
    expect(store.inspect("k").holders[0]?.expiresIn).toBeLessThanOrEqual(500);
    const second = await locks.acquire("k2");
    expect(await Promise.all([second.release(), second.expireIn(9_000)])).toEqual([true, true]);
    const third = await locks.acquire("k3");
    expect(await third.expireIn(0)).toBe(true);
    expect(store.inspect("k2").holders).toEqual([]);
    expect(store.inspect("k3").holders).toEqual([]);
  });

  test("what this process kept of the claim goes when the lease is over, and with close", async () => {
    const releases: number[] = [];
    const provider = faulty({ release: (inner) => (releases.push(performance.now()), inner()) });
    const locks = await createLocks(provider);
    const since = performance.now();
    await (await locks.acquire("k")).expireIn(1_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(releases.map((at) => Math.round((at - since) / 100))).toEqual([10]);
    await (await locks.acquire("k")).expireIn(1_000);
    await locks.close();
    // The store's own.
    expect(vi.getTimerCount()).toBe(1);
    expect(releases).toHaveLength(1);
  });

  test("a section that others share is left when the last of them is over, for the longest time that any asked for", async () => {
    const store = memoryStore();
    const locks = await createLocks(memoryProvider({ store }));
    await locks.withLock("k", { ttl: 3_000 }, async (outer) => {
      await locks.withLock("k", { reentrant: true }, async (inner) => {
        expect(await inner.expireIn(700)).toBe(true);
        expect(() => inner.throwIfLost()).toThrow("was given up");
      });
      await vi.advanceTimersByTimeAsync(100);
      outer.throwIfLost(1_000);
      expect(store.inspect("k").holders[0]?.expiresIn).toBeGreaterThan(1_000);
    });
    expect(store.inspect("k").holders[0]?.expiresIn).toBeCloseTo(600, -1);
  });
});

test("close does not wait for the end of the lease, and leaves it", async () => {
  const store = memoryStore();
  const locks = await createLocks(memoryProvider({ store }));
  await (await locks.acquire("k")).expireIn(60_000);
  const since = performance.now();
  await locks.close({ grace: 30_000 });
  expect(performance.now() - since).toBeLessThan(5_000);
  expect(store.inspect("k").holders[0]?.expiresIn).toBeGreaterThan(50_000);
});

test("a process that has nothing else to do ends at once", async () => {
  const since = performance.now();
  const output = await runProgram(`
    import { createLocks } from "@dlock/core";
    const locks = await createLocks("memory:");
    const lock = await locks.acquire("k", { ttl: 30_000 });
    console.log(await lock.expireIn(60_000));
  `);
  expect(output).toBe("true\n");
  expect(performance.now() - since).toBeLessThan(15_000);
});

test.each([[-1], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 31], ["soon"]])(
  "%j ms is refused, and the lock held",
  async (ms) => {
    const locks = await createLocks("memory:");
    const lock = await locks.acquire("k");
    await expect(lock.expireIn(ms as number)).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "ms" });
    lock.throwIfLost();
    expect(await lock.release()).toBe(true);
  },
);

test("a hold that ends with its process cannot be left to time, and stays held", async () => {
  const locks = await createLocks(session());
  const lock = await locks.acquire("k");
  await expect(lock.expireIn(100)).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "alive" });
  lock.throwIfLost();
  expect(await lock.release()).toBe(true);
});

describe('alive: "lease"', () => {
  test("refuses such a key before anything is sent, in every call, and no other", async () => {
    const lease = memoryProvider();
    const sessions = session();
    let asked = 0;
    const mixed = observe(route({ routes: { "job:*": lease }, default: sessions }), () => asked++);
    const locks = await createLocks(mixed);
    const options = { alive: "lease" } as const;
    for (const call of [
      () => locks.acquire("k", options),
      () => locks.tryAcquire("k", options),
      () => locks.withLock("k", options, () => {}),
      () => locks.tryWithLock("k", options, () => {}),
      () => locks.acquireAll(["k"], options),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "alive", key: "k" });
    }
    expect(asked).toBe(0);
    const holder = await locks.acquire("k");
    await expect(locks.tryAcquire("k", options)).rejects.toBeInstanceOf(LockConfigError);
    const waiter = locks.acquire("k");
    await expect(locks.acquire("k", options)).rejects.toBeInstanceOf(LockConfigError);
    await holder.release();
    await (await waiter).release();
    await locks.withLock("k", async () => {
      const inner = locks.withLock("k", { ...options, reentrant: true }, () => {});
      await expect(inner).rejects.toBeInstanceOf(LockConfigError);
    });
    expect(await (await locks.acquire("job:1", options)).expireIn(50)).toBe(true);
    await expect(locks.acquire("k", { alive: "session" as never })).rejects.toMatchObject({ field: "alive" });
  });
});

const names = { from: "a", to: "b" };
test.each<[string, () => LockProvider]>([
  ["quorum", () => quorum([memoryProvider(), memoryProvider(), memoryProvider()])],
  ["migrate", () => migrate({ from: memoryProvider(), to: memoryProvider(), names })],
  ["prefix", () => prefix(memoryProvider(), "app:")],
  ["route", () => route({ routes: { "*": memoryProvider() } })],
  ["observe", () => observe(memoryProvider(), () => {})],
])("through %s the lease ends at the time that was asked for", async (_, make) => {
  const locks = await createLocks(make());
  const lock = await locks.acquire("k", { ttl: 10_000 });
  const since = performance.now();
  expect(await lock.expireIn(300)).toBe(true);
  expect(await locks.tryAcquire("k")).toBeUndefined();
  await until(async () => (await locks.tryAcquire("k")) !== undefined, 3_000);
  expect(performance.now() - since).toBeGreaterThanOrEqual(299);
});

test.each<[string, () => LockProvider]>([
  ["quorum", () => quorum([session(), session(), session()])],
  ["migrate", () => migrate({ from: memoryProvider(), to: session(), names })],
])("through %s a session is one", async (_, make) => {
  const locks = await createLocks(make());
  await expect(locks.tryAcquire("k", { alive: "lease" })).rejects.toMatchObject({ field: "alive" });
  await using lock = await locks.acquire("k");
  await expect(lock.expireIn(100)).rejects.toBeInstanceOf(LockConfigError);
});

test.each([{ mode: "shared" }, { limit: 3 }] as const)("a hold beside others (%j) ends by itself", async (terms) => {
  const store = memoryStore();
  const locks = await createLocks(memoryProvider({ store }));
  const [one, other] = await Promise.all([locks.acquire("k", terms), locks.acquire("k", terms)]);
  expect(await one.expireIn(100)).toBe(true);
  await until(() => store.inspect("k").holders.length === 1);
  other.throwIfLost();
  expect(await other.release()).toBe(true);
});

test("a lost hold is one to its set too", async () => {
  const locks = await createLocks("memory:");
  const set = await locks.acquireAll(["a", "b"]);
  expect(await set.locks[0]!.expireIn(50)).toBe(true);
  expect(() => set.throwIfLost()).toThrow(LockLostError);
  expect(set.signal.aborted).toBe(false);
  expect(await set.release()).toBe(true);
});
