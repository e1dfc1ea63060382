import { getEventListeners } from "node:events";
import {
  createLocks,
  LockBackendError,
  LockLostError,
  Moment,
  monotonicNow,
  type SessionClaim,
  Tenure,
} from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { deferred, faulty, never, request } from "./support.js";

describe("under fake timers", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("a hold is renewed every third of its ttl and held as long as its holder lives", async () => {
    const renewals: number[] = [];
    const store = memoryStore();
    const locks = await createLocks(memoryProvider({ store }), {
      on: { renewed: () => renewals.push(performance.now()) },
    });
    const since = performance.now();
    const lock = await locks.acquire("k", { ttl: 3_000 });
    await vi.advanceTimersByTimeAsync(10_500);
    lock.throwIfLost(1_900);
    expect(renewals.map((at) => Math.round(at - since))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => n * 1_000));
    expect(await locks.tryAcquire("k")).toBeUndefined();
    expect(await lock.release()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("without renewal the hold ends at its ttl, before anybody else gets the lock, and extend moves that end", async () => {
    const locks = await createLocks("memory:");
    const lock = await locks.acquire("k", { ttl: 1_000, autoRenew: false });
    const waiter = locks.acquire("k");
    let lostFirst: boolean | undefined;
    void waiter.then(() => (lostFirst = lock.signal.aborted));
    await vi.advanceTimersByTimeAsync(900);
    await lock.extend();
    await vi.advanceTimersByTimeAsync(900);
    await lock.extend(2_000);
    expect(lock.ttl).toBe(2_000);
    await vi.advanceTimersByTimeAsync(1_900);
    lock.throwIfLost();
    expect(lock.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(lock.signal.aborted).toBe(true);
    expect(lostFirst).toBe(true);
    expect(() => lock.throwIfLost()).toThrow(LockLostError);
    await expect(lock.extend()).rejects.toBeInstanceOf(LockLostError);
    expect(await lock.release()).toBe(false);
    await (await waiter).release();
  });

  test("maxHold ends renewal, so that a hung task loses the lock", async () => {
    const locks = await createLocks("memory:");
    const lock = await locks.acquire("k", { ttl: 900, maxHold: 2_000 });
    await vi.advanceTimersByTimeAsync(2_000);
    lock.throwIfLost();
    await vi.advanceTimersByTimeAsync(900);
    expect(lock.signal.reason).toMatchObject({ code: "LOCK_LOST", key: "k" });
    expect(await locks.tryAcquire("k")).toBeDefined();
  });

  test("a margin is asked for at this instant, and its lack is no loss", async () => {
    const locks = await createLocks("memory:");
    const lock = await locks.acquire("k", { ttl: 1_000, autoRenew: false });
    await vi.advanceTimersByTimeAsync(800);
    lock.throwIfLost(100);
    expect(() => lock.throwIfLost(500)).toThrow(/certain for \d+ ms more, 500 were asked for/);
    expect(lock.signal.aborted).toBe(false);
    lock.throwIfLost();
  });

  test("a lease is trusted from before the request was sent, never from the reply", async () => {
    const delay = <Value>(value: Promise<Value>): Promise<Value> =>
      new Promise((resolve) => setTimeout(() => resolve(value), 400));
    const provider = faulty({ tryAcquire: (inner) => delay(inner()), renew: (inner) => delay(inner()) });
    const locks = await createLocks(provider);
    const acquiring = locks.acquire("k", { ttl: 1_000, autoRenew: false });
    await vi.advanceTimersByTimeAsync(400);
    const lock = await acquiring;
    expect(() => lock.throwIfLost(600)).toThrow(LockLostError);
    lock.throwIfLost(550);
    await vi.advanceTimersByTimeAsync(600);
    expect(lock.signal.aborted).toBe(true);
  });

  test("failed renewals are retried until the local deadline, which then is the loss, whatever the backend says", async () => {
    const events: string[] = [];
    const provider = faulty({ renew: () => Promise.reject(new Error("cut")) });
    const locks = await createLocks(provider, {
      on: { renewFailed: () => events.push("failed"), lost: () => events.push("lost") },
    });
    const lock = await locks.acquire("k", { ttl: 3_000 });
    await vi.advanceTimersByTimeAsync(2_960);
    lock.throwIfLost();
    expect(events.length).toBeGreaterThan(5);
    await vi.advanceTimersByTimeAsync(40);
    expect(lock.signal.aborted).toBe(true);
    expect(events.filter((event) => event === "lost")).toHaveLength(1);
    expect(events.at(-1)).toBe("lost");
  });

  test("renewals stay a third of the ttl apart, however long each takes and however tiny the ttl", async () => {
    for (const ttl of [20, 3_000]) {
      const sent: number[] = [];
      const provider = faulty({
        renew: async (inner) => {
          sent.push(performance.now());
          await new Promise((resolve) => setTimeout(resolve, ttl / 5));
          return inner();
        },
      });
      const locks = await createLocks(provider);
      const lock = await locks.acquire("k", { ttl });
      await vi.advanceTimersByTimeAsync(10 * ttl);
      lock.throwIfLost();
      expect(sent.length).toBeGreaterThanOrEqual(25);
      expect(sent.length).toBeLessThanOrEqual(30);
      await lock.release();
    }
  });

  test("one failed renewal in two costs nothing", async () => {
    let calls = 0;
    const provider = faulty({ renew: (inner) => (calls++ % 2 === 0 ? Promise.reject(new Error("cut")) : inner()) });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 300 });
    await vi.advanceTimersByTimeAsync(3_000);
    lock.throwIfLost();
    expect(await lock.release()).toBe(true);
  });

  test("a silent backend is no reason to believe: the hold is lost at its deadline", async () => {
    const locks = await createLocks(faulty({ renew: () => never(), release: () => never() }));
    const lock = await locks.acquire("k", { ttl: 3_000 });
    await vi.advanceTimersByTimeAsync(2_970);
    expect(lock.signal.aborted).toBe(true);
    expect(await lock.release()).toBe(false);
  });

  test("a renewal that finds the hold gone is a loss at once", async () => {
    const store = memoryStore();
    const locks = await createLocks(memoryProvider({ store }));
    const lock = await locks.acquire("k", { ttl: 3_000 });
    store.forceRelease("k");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(lock.signal.reason).toMatchObject({
      code: "LOCK_LOST",
      message: expect.stringContaining("ended by the backend"),
    });
  });

  test("a success that comes after the deadline does not revive the hold", async () => {
    const provider = faulty({
      renew: async (inner) => {
        const alive = await inner();
        await new Promise((resolve) => setTimeout(resolve, 950));
        return alive;
      },
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 900, autoRenew: false });
    const extending = lock.extend().catch((reason: unknown) => reason);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await extending).toMatchObject({ code: expect.stringMatching(/LOCK_BACKEND|LOCK_LOST/) });
    expect(lock.signal.aborted).toBe(true);
  });

  test("a shorter lease is trusted no longer than it may be in force, also when its answer is lost", async () => {
    const provider = faulty({
      renew: async (inner) => {
        await inner();
        throw new Error("reply lost");
      },
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 10_000, autoRenew: false });
    await expect(lock.extend(500)).rejects.toThrow("reply lost");
    await vi.advanceTimersByTimeAsync(500);
    expect(lock.signal.aborted).toBe(true);
  });

  test("no timer and no poll runs for an idle waiter but the one that watches the holder's lease", async () => {
    const locks = await createLocks("memory:");
    const holder = await locks.acquire("k", { ttl: 60_000, autoRenew: false });
    const waiter = locks.acquire("k", { ttl: 60_000 });
    await vi.advanceTimersByTimeAsync(0);
    const before = vi.getTimerCount();
    const set = vi.spyOn(globalThis, "setTimeout");
    await vi.advanceTimersByTimeAsync(50_000);
    expect(set).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(before);
    set.mockRestore();
    await holder.release();
    await (await waiter).release();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("extend rejects with an error of dlock when nobody knows", async () => {
    const locks = await createLocks(faulty({ renew: () => Promise.reject(new Error("cut")) }));
    const lock = await locks.acquire("k");
    await expect(lock.extend()).rejects.toBeInstanceOf(LockBackendError);
    lock.throwIfLost();
  });

  test("the ttl of an extend is kept by renewals, also by one that was due meanwhile", async () => {
    const asked: number[] = [];
    const gate = deferred();
    const provider = faulty({
      renew: async (inner, ttl) => {
        asked.push(ttl);
        if (asked.length === 1) await gate.promise;
        return inner();
      },
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 3_000 });
    await vi.advanceTimersByTimeAsync(990);
    const extending = lock.extend(6_000);
    await vi.advanceTimersByTimeAsync(20);
    gate.resolve();
    await extending;
    await vi.advanceTimersByTimeAsync(2_100);
    expect(lock.ttl).toBe(6_000);
    expect(new Set(asked)).toEqual(new Set([6_000]));
  });

  test("renewals never overlap", async () => {
    let [now, most] = [0, 0];
    const provider = faulty({
      renew: async (inner) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 100));
        now--;
        return inner();
      },
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 3_000 });
    const extending = Promise.all([lock.extend(), lock.extend(), lock.extend()]);
    await vi.advanceTimersByTimeAsync(1_000);
    await extending;
    expect(most).toBe(1);
  });

  test("a shorter lease whose answer is lost is renewed by its own measure", async () => {
    let failures = 1;
    const provider = faulty({ renew: (inner) => (failures-- > 0 ? Promise.reject(new Error("cut")) : inner()) });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 10_000 });
    await expect(lock.extend(300)).rejects.toBeInstanceOf(LockBackendError);
    await vi.advanceTimersByTimeAsync(1_000);
    lock.throwIfLost();
  });

  test("a ttl that the backend raised is the one that counts, but core still ends the hold at the one asked for", async () => {
    const gone = new AbortController().signal;
    const lease = faulty({ claim: (_, make) => Object.assign(make(), { ttl: 4_000 }) });
    const lock = await (await createLocks(lease)).acquire("k", { ttl: 100 });
    expect(lock.ttl).toBe(4_000);
    await lock.extend(100);
    await vi.advanceTimersByTimeAsync(200);
    lock.throwIfLost();
    const session = { ttl: 4_000, lost: gone, certainUntil: () => monotonicNow() + 60_000 };
    const sessions = faulty({ claim: (_, make) => Object.assign(make(), session) });
    const short = await (await createLocks(sessions)).acquire("k", { ttl: 200, autoRenew: false });
    await short.extend();
    await vi.advanceTimersByTimeAsync(200);
    expect(short.signal.aborted).toBe(true);
  });

  test("no renewal is sent after maxHold, and core ends a session then; an explicit extend moves that end", async () => {
    const renewals: number[] = [];
    const since = performance.now();
    const lease = await createLocks("memory:", { on: { renewed: () => renewals.push(performance.now() - since) } });
    await lease.acquire("k", { ttl: 900, maxHold: 2_000 });
    const session = {
      lost: new AbortController().signal,
      certainUntil: () => monotonicNow() + 60_000,
      renew: undefined,
    };
    const sessions = await createLocks(faulty({ claim: (_, make) => Object.assign(make(), session) }));
    const lock = await sessions.acquire("k", { ttl: 900, maxHold: 2_000 });
    const other = await sessions.acquire("k2", { ttl: 900, maxHold: 2_000 });
    await vi.advanceTimersByTimeAsync(2_800);
    await other.extend(500);
    await vi.advanceTimersByTimeAsync(200);
    expect(lock.signal.aborted).toBe(true);
    other.throwIfLost(200);
    await vi.advanceTimersByTimeAsync(500);
    expect(other.signal.aborted).toBe(true);
    expect(Math.max(...renewals)).toBeLessThan(2_000);
  });

  test("after a release no listener is left on the session's signal", async () => {
    const session = { lost: new AbortController().signal, certainUntil: () => monotonicNow() + 60_000 };
    const locks = await createLocks(faulty({ claim: (_, make) => Object.assign(make(), session) }));
    const holder = await locks.acquire("k");
    const waiter = locks.acquire("k");
    await vi.advanceTimersByTimeAsync(10);
    expect(getEventListeners(session.lost, "abort")).toHaveLength(1);
    await holder.release();
    await (await waiter).release();
    expect(getEventListeners(session.lost, "abort")).toHaveLength(0);
  });

  test("a session is trusted to the time of its last heartbeat, and its own word that it is gone is a loss at once", async () => {
    let certain = monotonicNow() + 1_000;
    const gone = new AbortController();
    const provider = faulty({
      claim: (_, make) => {
        const inner = make();
        const claim: SessionClaim = {
          ttl: 4_000,
          lost: gone.signal,
          certainUntil: () => certain,
          tryAcquire: (deadline) => inner.tryAcquire(deadline),
          release: () => inner.release(),
        };
        return claim;
      },
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 10_000 });
    expect(lock.ttl).toBe(4_000);
    certain = monotonicNow() + 5_000;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(lock.signal.aborted).toBe(false);
    lock.throwIfLost(900);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(lock.signal.aborted).toBe(true);
    certain = monotonicNow() + 5_000;
    const other = await locks.acquire("k2");
    gone.abort(new Error("session expired"));
    expect(other.signal.reason).toMatchObject({ code: "LOCK_LOST", cause: { message: "session expired" } });
  });

  test("on a session too, core ends the hold at its ttl when it is not to be renewed", async () => {
    const provider = faulty({
      claim: (_, make) =>
        Object.assign(make(), { lost: new AbortController().signal, certainUntil: () => monotonicNow() + 60_000 }),
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl: 500, autoRenew: false });
    await vi.advanceTimersByTimeAsync(500);
    expect(lock.signal.aborted).toBe(true);
    expect(await locks.tryAcquire("k")).toBeDefined();
  });

  test("an orderly release is no loss, although closing the connection looks like one", async () => {
    const gone = new AbortController();
    const lost: unknown[] = [];
    const provider = faulty({
      claim: (_, make) => {
        const claim = make();
        const release = claim.release.bind(claim);
        return Object.assign(claim, {
          lost: gone.signal,
          release: async () => {
            gone.abort(new Error("closed"));
            await release();
          },
        });
      },
    });
    const locks = await createLocks(provider, { on: { lost: (event) => lost.push(event) } });
    const lock = await locks.acquire("k");
    expect(await lock.release()).toBe(true);
    expect(lost).toEqual([]);
    expect(lock.signal.aborted).toBe(false);
  });
});

test("a tenure keeps a claim alive for whoever holds a part while waiting for another", async () => {
  const claim = memoryProvider().claim({ ...request, ttl: 300 });
  const asked = new Moment();
  await claim.tryAcquire(asked.at + 1_000);
  const lost: unknown[] = [];
  const tenure = new Tenure(claim, asked, { key: "k", ttl: 300 }, { lost: (reason) => lost.push(reason) });
  await new Promise((resolve) => setTimeout(resolve, 700));
  tenure.throwIfLost();
  expect(tenure.signal.aborted).toBe(false);
  tenure.giveUp();
  tenure.lose("is over anyway");
  await claim.release();
  expect(lost).toEqual([]);
  expect(tenure.signal.aborted).toBe(false);
});

test("a stall that outlasts the lease is a loss, whatever a renewal or a release that spans it is told", async () => {
  const stall = () => {
    for (const end = performance.now() + 60; performance.now() < end;);
  };
  const provider = faulty({ renew: async (inner) => (stall(), inner(10_000)) });
  const locks = await createLocks(provider);
  const renewed = await locks.acquire("k", { ttl: 50, autoRenew: false });
  await expect(renewed.extend()).rejects.toBeInstanceOf(LockLostError);
  const released = await locks.acquire("k2", { ttl: 50, autoRenew: false });
  stall();
  expect(await released.release()).toBe(false);
});

describe("the machine's sleep", () => {
  let slept: number;
  let stepped: number;
  const now = Date.now;

  beforeEach(() => {
    [slept, stepped] = [0, 0];
    vi.resetModules();
    vi.doMock("node:os", async (original) => ({
      ...(await original<object>()),
      uptime: () => 1_000 + (performance.now() + slept) / 1_000,
    }));
    Date.now = () => performance.timeOrigin + performance.now() + slept + stepped;
  });
  afterEach(() => {
    Date.now = now;
    vi.doUnmock("node:os");
  });

  test("is a loss, although the monotonic clock did not notice; a stepped wall clock is none", async () => {
    const { createLocks: create } = await import("../src/create-locks.js");
    const locks = await create("memory:");
    const lock = await locks.acquire("k");
    stepped = 5_000;
    lock.throwIfLost();
    slept = 5_000;
    expect(() => lock.throwIfLost()).toThrow("the machine slept");
    expect(lock.signal.aborted).toBe(true);
  });

  test("makes the answer to a renewal worthless that was sent before it, also when that comes late", async () => {
    const { createLocks: create } = await import("../src/create-locks.js");
    const gate = deferred<boolean>();
    const locks = await create(faulty({ renew: () => gate.promise }));
    const lock = await locks.acquire("k", { ttl: 900 });
    const failed = new Promise((resolve) => locks.on("renewFailed", resolve));
    await failed;
    slept = 3_600_000;
    gate.resolve(true);
    await gate.promise;
    expect(() => lock.throwIfLost()).toThrow("the machine slept");
    expect(lock.signal.aborted).toBe(true);
  });

  test("while the request was under way makes its answer worthless", async () => {
    const { createLocks: create } = await import("../src/create-locks.js");
    let naps = 1;
    const provider = faulty({
      tryAcquire: async (inner) => {
        const token = await inner();
        if (naps-- > 0) slept += 3_600_000;
        return token;
      },
    });
    const locks = await create(provider);
    const lock = await locks.acquire("k");
    lock.throwIfLost();
    expect(naps).toBe(-1);
    naps = 2;
    await expect(locks.tryAcquire("k2")).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  });
});
