import { getEventListeners } from "node:events";
import { createLocks, LockBackendError, LockTimeoutError } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { deferred, faulty, never, runProgram, until } from "./support.js";

test("1 000 local waiters finish in the order they came, with one claim in line at a time", async () => {
  let waiting = 0;
  let most = 0;
  const provider = faulty({
    waitTurn: async (inner, signal) => {
      most = Math.max(most, ++waiting);
      await inner(signal);
      waiting--;
    },
  });
  const locks = await createLocks(provider);
  const order: number[] = [];
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => locks.withLock("k", () => void order.push(i))));
  expect(order).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
  expect(most).toBe(1);
  expect(await locks.inspect("k")).toMatchObject({ holders: [], waiters: [] });
});

test("a wait ends at its waitTimeout: not before, and without a late grant", async () => {
  const locks = await createLocks("memory:");
  const holder = await locks.acquire("k");
  const late: number[] = [];
  for (const waitTimeout of [1, 5, 20, 60]) {
    const since = performance.now();
    const error = await locks.acquire("k", { waitTimeout }).catch((reason: unknown) => reason);
    late.push(performance.now() - since - waitTimeout);
    expect(error).toBeInstanceOf(LockTimeoutError);
    expect(error).toMatchObject({ code: "LOCK_TIMEOUT", key: "k", waitTimeout });
    expect((error as Error).stack).toContain("waiting.test.ts");
  }
  expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  await holder.release();
  expect(await locks.inspect("k")).toMatchObject({ holders: [], waiters: [] });
});

test("waitTimeout 0 is one try that joins no line and lasts as long as its answer takes", async () => {
  const provider = faulty({ tryAcquire: (inner) => new Promise((resolve) => setTimeout(() => resolve(inner()), 30)) });
  const locks = await createLocks(provider);
  const lock = await locks.acquire("k", { waitTimeout: 0 });
  await expect(locks.acquire("k", { waitTimeout: 0 })).rejects.toBeInstanceOf(LockTimeoutError);
  expect(provider.claims.map(({ join }) => join)).toEqual([false, false]);
  expect((await locks.inspect("k")).waiters).toEqual([]);
  await lock.release();
});

test("a grant that comes after its caller's deadline is not handed out, although no timer could say so", async () => {
  const locks = await createLocks("memory:");
  const holder = await locks.acquire("k");
  const waiter = locks.acquire("k", { waitTimeout: 30 }).catch((reason: unknown) => reason);
  await until(async () => (await locks.inspect("k")).waiters.length === 1);
  // The lock comes free in the very turn in which the loop was stalled beyond the deadline.
  for (const end = performance.now() + 60; performance.now() < end;);
  void holder.release();
  expect(await waiter).toBeInstanceOf(LockTimeoutError);
  await until(async () => (await locks.inspect("k")).holders.length === 0);
});

test("nor is one whose answer the loop was too busy to take in time", async () => {
  const store = memoryStore();
  const provider = faulty(
    {
      tryAcquire: async (inner) => {
        const token = await inner();
        for (const end = performance.now() + 60; performance.now() < end;);
        return token;
      },
    },
    memoryProvider({ store }),
  );
  const locks = await createLocks(provider);
  await expect(locks.acquire("k", { waitTimeout: 30 })).rejects.toBeInstanceOf(LockTimeoutError);
  await until(() => store.size === 0);
});

test("an abort ends the wait at once with the signal's own reason, and leaves nothing behind", async () => {
  const locks = await createLocks("memory:");
  const holder = await locks.acquire("k");
  const controller = new AbortController();
  const reason = new Error("shutting down");
  const waits = [1, 2, 3].map(() => locks.acquire("k", { signal: controller.signal }).catch((error: unknown) => error));
  await until(async () => (await locks.inspect("k")).waiters.length === 1);
  controller.abort(reason);
  expect(await Promise.all(waits)).toEqual([reason, reason, reason]);
  await until(async () => (await locks.inspect("k")).waiters.length === 0);
  await expect(locks.acquire("free", { signal: controller.signal })).rejects.toBe(reason);
  await expect(locks.tryAcquire("free", { signal: controller.signal })).rejects.toBe(reason);
  expect((await locks.inspect("free")).holders).toEqual([]);
  await holder.release();
});

test("a signal that outlives many calls keeps no listener, and never more than one", async () => {
  const locks = await createLocks("memory:");
  const { signal } = new AbortController();
  const holder = await locks.acquire("k", { signal });
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  const waits = Array.from({ length: 50 }, () => locks.withLock("k", { signal }, () => {}));
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  await holder.release();
  await Promise.all(waits);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("a call given up in flight is undone, also when its success is late", async () => {
  const gate = deferred();
  const store = memoryStore();
  const provider = faulty(
    {
      // The request is on its way when the caller leaves, takes effect, and its answer is lost.
      tryAcquire: async (inner) => {
        await gate.promise;
        await inner();
        throw Object.assign(new Error("reply lost"), { retryable: true });
      },
    },
    memoryProvider({ store }),
  );
  const locks = await createLocks(provider, { backendTimeout: 150 });
  const controller = new AbortController();
  const one = locks.tryAcquire("k", { signal: controller.signal }).catch((error: unknown) => error);
  const other = locks.acquire("k2", { waitTimeout: 20 }).catch((error: unknown) => error);
  controller.abort("changed my mind");
  expect(await one).toBe("changed my mind");
  expect(await other).toBeInstanceOf(LockTimeoutError);
  gate.resolve();
  await until(() => store.size === 0);
});

test("a place in line is inherited by the next local waiter", async () => {
  const store = memoryStore();
  const provider = faulty({}, memoryProvider({ store }));
  const [locks, elsewhere] = await Promise.all([createLocks(provider), createLocks(memoryProvider({ store }))]);
  const holder = await elsewhere.acquire("k");
  const controller = new AbortController();
  const first = locks.acquire("k", { signal: controller.signal }).catch(() => "left");
  await until(async () => (await locks.inspect("k")).waiters.length === 1);
  const rival = elsewhere.acquire("k");
  await until(async () => (await locks.inspect("k")).waiters.length === 2);
  const second = locks.acquire("k");
  controller.abort();
  expect(await first).toBe("left");
  await holder.release();
  // The rival came before the second waiter, but after the place it inherited.
  const lock = await Promise.race([second, rival.then(() => "overtaken" as const)]);
  expect(lock).not.toBe("overtaken");
  expect(provider.claims).toHaveLength(1);
  await (await second).release();
  await (await rival).release();
});

test("a waiter on other terms does not inherit: it has a claim of its own", async () => {
  const provider = faulty({});
  const locks = await createLocks(provider);
  const holder = await locks.acquire("k");
  const waits = [
    locks.acquire("k", { ttl: 1_000 }),
    locks.acquire("k", { ttl: 2_000 }),
    locks.acquire("k", { ttl: 1_000 }),
  ];
  await until(async () => (await locks.inspect("k")).waiters.length === 2);
  await holder.release();
  for (const wait of waits) expect(await (await wait).release()).toBe(true);
  expect(provider.claims.map(({ ttl }) => ttl)).toEqual([30_000, 1_000, 2_000, 1_000]);
});

test("failures shorter than backendTimeout are ridden out by waiters, an event each, and reject a single try", async () => {
  const failures: unknown[] = [];
  let broken = 3;
  const provider = faulty({
    tryAcquire: (inner) =>
      broken-- > 0 ? Promise.reject(new LockBackendError("connection refused", { retryable: true })) : inner(),
  });
  const locks = await createLocks(provider, { on: { backendFailed: ({ error }) => failures.push(error) } });
  await expect(locks.tryAcquire("k")).rejects.toBeInstanceOf(LockBackendError);
  const lock = await locks.acquire("k");
  expect(failures).toHaveLength(2);
  expect(await lock.release()).toBe(true);
});

test("a backend that keeps failing ends any wait after backendTimeout, with its own error as the cause", async () => {
  const refused = Object.assign(new Error("connection refused"), { retryable: true });
  const locks = await createLocks(faulty({ tryAcquire: () => Promise.reject(refused) }), { backendTimeout: 120 });
  const since = performance.now();
  const error = await locks.acquire("k").catch((reason: unknown) => reason);
  expect(performance.now() - since).toBeGreaterThanOrEqual(120);
  expect(error).toBeInstanceOf(LockBackendError);
  expect(error).toMatchObject({ code: "LOCK_BACKEND", key: "k", retryable: true, cause: refused });
  const timedOut = await locks.acquire("k", { waitTimeout: 40 }).catch((reason: unknown) => reason);
  expect(timedOut).toMatchObject({ code: "LOCK_TIMEOUT", cause: refused });
});

test("a backend that stays silent ends any wait after backendTimeout, each counted from when it began", async () => {
  const locks = await createLocks(faulty({ tryAcquire: () => never() }), { backendTimeout: 100 });
  const waits = [0, 50].map(async (delay) => {
    await new Promise((resolve) => setTimeout(resolve, delay));
    const since = performance.now();
    await expect(locks.acquire("k")).rejects.toBeInstanceOf(LockBackendError);
    return performance.now() - since;
  });
  for (const took of await Promise.all(waits)) expect(took).toBeGreaterThanOrEqual(99);
  await expect(locks.tryAcquire("k")).rejects.toBeInstanceOf(LockBackendError);
});

test("patience is counted from the first failure, not from the last", async () => {
  let tries = 0;
  const provider = faulty({
    tryAcquire: async () => {
      tries++;
      await new Promise((resolve) => setTimeout(resolve, 100));
      throw Object.assign(new Error("cut"), { retryable: true });
    },
  });
  const locks = await createLocks(provider, { backendTimeout: 250 });
  await expect(locks.acquire("k")).rejects.toMatchObject({ code: "LOCK_BACKEND", cause: { message: "cut" } });
  expect(tries).toBeLessThanOrEqual(3);
});

test("an error that will not pass ends the wait at once", async () => {
  const locks = await createLocks(faulty({ tryAcquire: () => Promise.reject(new TypeError("a bug")) }));
  await expect(locks.acquire("k")).rejects.toMatchObject({ code: "LOCK_BACKEND", cause: { message: "a bug" } });
});

test("what a claim throws instead of rejecting is the caller's error all the same", async () => {
  const broken = faulty({
    claim: () => {
      throw new TypeError("no claim");
    },
  });
  const locks = await createLocks(broken);
  await expect(locks.acquire("k")).rejects.toMatchObject({ code: "LOCK_BACKEND", cause: { message: "no claim" } });
  await expect(locks.tryAcquire("k")).rejects.toMatchObject({ code: "LOCK_BACKEND" });
});

test("a claim without waitTurn is polled", async () => {
  let tries = 0;
  const provider = faulty({
    waitTurn: "left out",
    tryAcquire: (inner) => {
      tries++;
      return inner();
    },
  });
  const locks = await createLocks(provider);
  const holder = await locks.acquire("k");
  const waiter = locks.acquire("k");
  await until(() => tries >= 4);
  await holder.release();
  await (await waiter).release();
});

test("a turn that keeps coming at once does not keep the event loop from turning", async () => {
  const locks = await createLocks(faulty({ waitTurn: () => Promise.resolve() }));
  const holder = await locks.acquire("k");
  await expect(locks.acquire("k", { waitTimeout: 50 })).rejects.toBeInstanceOf(LockTimeoutError);
  await holder.release();
});

test("a claim whose session is gone while it waits is made anew", async () => {
  const sessions = [new AbortController(), new AbortController()];
  let claims = 0;
  const inner = memoryProvider();
  const provider = faulty(
    { claim: (_, make) => Object.assign(make(), { lost: sessions[Math.min(claims++, 1)]!.signal }) },
    inner,
  );
  const elsewhere = await createLocks(inner);
  const locks = await createLocks(provider);
  const holder = await elsewhere.acquire("k");
  const waiter = locks.acquire("k");
  await until(async () => (await locks.inspect("k")).waiters.length === 1);
  sessions[0]!.abort(new Error("session expired"));
  await until(() => claims === 2);
  await holder.release();
  const lock = await waiter;
  expect((await locks.inspect("k")).waiters).toEqual([]);
  sessions[1]!.abort(new Error("session expired"));
  expect(lock.signal.reason).toMatchObject({ code: "LOCK_LOST", cause: { message: "session expired" } });
});

test("a backend whose sessions keep ending is a backend that fails: waiters ride it out to backendTimeout", async () => {
  const gone = AbortSignal.abort(new Error("session expired"));
  let claims = 0;
  const provider = faulty({ claim: (_, make) => Object.assign(make(), { lost: gone, made: claims++ }) });
  const locks = await createLocks(provider, { backendTimeout: 150 });
  const error = await locks.acquire("k").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "LOCK_BACKEND", cause: { cause: { message: "session expired" } } });
  expect(claims).toBeLessThan(40);
});

test("an answer that took longer than the lease is no hold: it is asked for again", async () => {
  let answers = 0;
  const provider = faulty({
    tryAcquire: async (inner) => {
      const token = await inner();
      if (answers++ === 0) await new Promise((resolve) => setTimeout(resolve, 60));
      return token;
    },
  });
  const locks = await createLocks(provider);
  const lock = await locks.acquire("k", { ttl: 40 });
  expect(answers).toBe(2);
  lock.throwIfLost(5);
  await lock.release();
});

test("a round trip longer than the lease is a backend too slow: no wait goes on for ever", async () => {
  const store = memoryStore();
  const provider = faulty(
    {
      tryAcquire: (inner) =>
        new Promise((resolve) => setTimeout(() => resolve(inner()), 40)).then(
          async (token) => (await new Promise((r) => setTimeout(r, 40)), token as bigint),
        ),
    },
    memoryProvider({ store }),
  );
  const locks = await createLocks(provider, { backendTimeout: 250 });
  await expect(locks.acquire("k", { ttl: 20 })).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  await expect(locks.tryAcquire("k", { ttl: 20 })).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  await until(() => store.size === 0);
});

test("a provider that throws where nobody expects it still ends the call", async () => {
  let calls = 0;
  const provider = faulty({
    claim: (_, make) =>
      Object.assign(make(), {
        lost: new AbortController().signal,
        certainUntil: () => {
          if (calls++ > 0) throw new TypeError("a bug");
          return performance.now() + 10_000;
        },
      }),
  });
  const locks = await createLocks(provider);
  await expect(locks.acquire("k")).rejects.toMatchObject({ code: "LOCK_BACKEND", cause: { message: "a bug" } });
  calls = 0;
  await expect(locks.tryAcquire("k")).rejects.toMatchObject({ code: "LOCK_BACKEND", cause: { message: "a bug" } });
});

test("an attempt is asked for no longer than anybody would want it", async () => {
  const deadlines: number[] = [];
  const provider = faulty({
    tryAcquire: (_, deadline) => {
      deadlines.push(deadline - performance.now());
      return never();
    },
  });
  const locks = await createLocks(provider, { backendTimeout: 2_000 });
  await expect(locks.acquire("k", { waitTimeout: 50 })).rejects.toBeInstanceOf(LockTimeoutError);
  const controller = new AbortController();
  const wait = locks.acquire("k2", { signal: controller.signal }).catch(() => {});
  controller.abort();
  await wait;
  expect(deadlines[0]).toBeLessThanOrEqual(51);
  expect(deadlines[1]).toBeGreaterThan(1_900);
});

test("a release that failed is tried again, first for its caller, then in the background", async () => {
  const store = memoryStore();
  let failures = 2;
  const cut = Object.assign(new Error("cut"), { retryable: true });
  const provider = faulty(
    { release: (inner) => (failures-- > 0 ? Promise.reject(cut) : inner()) },
    memoryProvider({ store }),
  );
  const failed: unknown[] = [];
  const locks = await createLocks(provider, { on: { releaseFailed: (event) => failed.push(event) } });
  expect(await (await locks.acquire("k")).release()).toBe(true);
  failures = 5;
  expect(await (await locks.acquire("k", { backendTimeout: 30 })).release()).toBe(false);
  expect(failed).toHaveLength(1);
  await until(() => store.size === 0, 20_000);
});

test("a release that failed with a driver's own error, which says nothing of trying again, is tried again", async () => {
  const store = memoryStore();
  let failures = 3;
  const provider = faulty(
    { release: (inner) => (failures-- > 0 ? Promise.reject(new Error("ECONNRESET")) : inner()) },
    memoryProvider({ store }),
  );
  const locks = await createLocks(provider);
  expect(await (await locks.acquire("k")).release()).toBe(true);
  expect(store.size).toBe(0);
});

test("an attempt that was never answered is undone again after its deadline, for it may come that late", async () => {
  const store = memoryStore();
  const inner = memoryProvider({ store });
  const late: Promise<unknown>[] = [];
  const provider = faulty(
    {
      // The request is held up on its way until just before its deadline, past the release that gave it up.
      tryAcquire: (_, deadline, asked) => {
        const delayed = new Promise((resolve) => setTimeout(resolve, deadline - performance.now() - 10));
        late.push(delayed.then(() => inner.claim(asked).tryAcquire(deadline)));
        return never();
      },
    },
    inner,
  );
  const locks = await createLocks(provider, { backendTimeout: 200 });
  const controller = new AbortController();
  const calls = [
    locks.tryAcquire("k", { signal: controller.signal }),
    locks.acquire("k2", { signal: controller.signal }),
  ];
  setTimeout(() => controller.abort("gone"), 20);
  await Promise.allSettled(calls);
  await Promise.all(late);
  expect(store.size).toBe(2);
  await until(() => store.size === 0);
});

test("an attempt that certainly did nothing leaves nothing to wait for", async () => {
  const refused = new LockBackendError("connection refused", { retryable: true, noEffect: true });
  const locks = await createLocks(faulty({ tryAcquire: () => Promise.reject(refused) }), { backendTimeout: 20_000 });
  await expect(locks.tryAcquire("k")).rejects.toBe(refused);
  const since = performance.now();
  await locks.close();
  expect(performance.now() - since).toBeLessThan(5_000);
});

test("each waiter holds on its own terms, whoever opened the line", async () => {
  const locks = await createLocks("memory:");
  const holder = await locks.acquire("k", { ttl: 60 });
  const first = locks.acquire("k", { ttl: 60 });
  const second = locks.acquire("k", { ttl: 60, autoRenew: false });
  await holder.release();
  await (await first).release();
  const lock = await second;
  await until(() => lock.signal.aborted, 1_000);
});

test("a process that waits with a deadline stays alive to be told", async () => {
  const program = `
    import { createLocks } from "@dlock/core";
    import { memoryProvider } from "@dlock/core/memory";
    const inner = memoryProvider();
    const never = () => new Promise(() => {});
    const silent = { guarantees: inner.guarantees, claim: () => ({ tryAcquire: never, renew: never, release: never }) };
    const locks = await createLocks(silent);
    const report = (error) => console.log(error.code);
    await Promise.all([locks.acquire("k", { waitTimeout: 50 }).catch(report), locks.tryAcquire("k", { backendTimeout: 60 }).catch(report)]);`;
  expect(await runProgram(program)).toBe("LOCK_TIMEOUT\nLOCK_BACKEND\n");
});

test("a wait of two ttl for what this very process holds is reported, naming the holder", async () => {
  const warnings: { code: string; message: string }[] = [];
  const locks = await createLocks("memory:", { on: { warning: (notice) => warnings.push(notice) } });
  const holder = await locks.acquire("k", { ttl: 200, owner: "importer" });
  const waiter = locks.acquire("k", { ttl: 200 });
  await until(() => warnings.length > 0);
  expect(warnings).toMatchObject([{ code: "SELF_DEADLOCK", key: "k", message: expect.stringContaining('"importer"') }]);
  await holder.release();
  await (await waiter).release();
  expect(warnings).toHaveLength(1);
});

test("a wait for locks that change hands is not suspected", async () => {
  const warnings: unknown[] = [];
  const locks = await createLocks("memory:", { on: { warning: (notice) => warnings.push(notice) } });
  const section = () => locks.withLock("k", { ttl: 200 }, () => new Promise((resolve) => setTimeout(resolve, 20)));
  await Promise.all(Array.from({ length: 30 }, section));
  expect(warnings).toEqual([]);
});
