import {
  createLocks,
  type Lock,
  LockBackendError,
  LockClosedError,
  LockConfigError,
  LockLostError,
  type Locks,
  monotonicNow,
} from "@dlock/core";
import { observe, route } from "@dlock/core/combinators";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { leader, nextStripe, once, striped, type Term } from "@dlock/core/recipes";
import { describe, expect, test, vi } from "vitest";
import { deferred, faulty, never, runProgram, until } from "./support.js";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function fleet(size: number) {
  const store = memoryStore();
  const members = Array.from({ length: size }, () => createLocks(memoryProvider({ store })));
  return Promise.all(members);
}

describe("striped", () => {
  test("a key has one stripe, everywhere, and its section excludes those of the same stripe only", async () => {
    const [here, there] = (await fleet(2)).map((locks) => striped(locks, "stock", 4));
    const keys = Array.from({ length: 64 }, (_, index) => `sku-${index}`);
    expect(new Set(keys.map((key) => here!.stripeOf(key)))).toEqual(new Set([0, 1, 2, 3]));
    expect(keys.map((key) => there!.stripeOf(key))).toEqual(keys.map((key) => here!.stripeOf(key)));
    const [first] = keys as [string];
    const same = keys.find((key) => key !== first && here!.stripeOf(key) === here!.stripeOf(first))!;
    const other = keys.find((key) => here!.stripeOf(key) !== here!.stripeOf(first))!;
    await here!.withLock(first, async (lock) => {
      expect(lock.key).toBe(here!.keyOf(here!.stripeOf(first)));
      await expect(there!.withLock(same, { waitTimeout: 0 }, () => {})).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
      expect(await there!.withLock(other, { waitTimeout: 0 }, () => "in")).toBe("in");
    });
  });

  test("any stripe is a free one while there is one, and then the first to be had", async () => {
    const locks = (await fleet(1))[0]!;
    const stripes = striped(locks, "stock", 3);
    const gate = deferred();
    const taken: number[] = [];
    const section = () =>
      stripes.withAnyStripe(async (_, stripe) => {
        taken.push(stripe);
        await gate.promise;
      });
    const running = [section(), section(), section()];
    await until(() => taken.length === 3);
    expect(new Set(taken)).toEqual(new Set([0, 1, 2]));
    await expect(stripes.withAnyStripe({ waitTimeout: 30 }, () => {})).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    const waiting = stripes.withAnyStripe(() => "served");
    gate.resolve();
    expect(await waiting).toBe("served");
    await Promise.all(running);
  });

  test("one deadline for all stripes, whole and strict, also when the backend is silent; and one signal", async () => {
    const silent = await createLocks(faulty({ tryAcquire: never }));
    const start = performance.now();
    await expect(striped(silent, "stock", 3).withAnyStripe({ waitTimeout: 50 }, () => {})).rejects.toMatchObject({
      code: "LOCK_TIMEOUT",
      key: "stock",
      waitTimeout: 50,
    });
    expect(performance.now() - start).toBeLessThan(1_000);
    const locks = (await fleet(1))[0]!;
    const stripes = striped(locks, "stock", 2);
    const held = await Promise.all([0, 1].map((stripe) => locks.acquire(stripes.keyOf(stripe))));
    const waiting = stripes.withAnyStripe({ waitTimeout: 60 }, () => nextStripe);
    setTimeout(() => void Promise.all(held.map((lock) => lock.release())), 20);
    expect(await waiting).toBeUndefined();
    const busy = await Promise.all([0, 1].map((stripe) => locks.acquire(stripes.keyOf(stripe))));
    await expect(stripes.withAnyStripe({ waitTimeout: 0 }, () => {})).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    const aborter = new AbortController();
    const aborted = stripes.withAnyStripe({ waitTimeout: 5_000, signal: aborter.signal }, () => {});
    setTimeout(() => aborter.abort("enough"), 10);
    await expect(aborted).rejects.toBe("enough");
    // The time is for waiting, not for the task.
    setTimeout(() => void Promise.all(busy.map((lock) => lock.release())), 10);
    expect(await stripes.withAnyStripe({ waitTimeout: 100 }, () => sleep(150).then(() => "sold"))).toBe("sold");
  });

  test("a task that wants another stripe spills over, to each once", async () => {
    const locks = (await fleet(1))[0]!;
    const stripes = striped(locks, "stock", 5);
    const stock = [0, 0, 1, 0, 0];
    const sell = () => stripes.withAnyStripe((_, stripe) => (stock[stripe]! > 0 ? stock[stripe]!-- : nextStripe));
    expect(await sell()).toBe(1);
    expect(await sell()).toBeUndefined();
    const seen: number[] = [];
    await stripes.withAnyStripe((_, stripe) => {
      seen.push(stripe);
      return nextStripe;
    });
    expect(seen).toHaveLength(5);
    expect(new Set(seen)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test("what makes no sense is refused", async () => {
    const locks = (await fleet(1))[0]!;
    for (const stripes of [0, 1.5, Number.NaN]) expect(() => striped(locks, "s", stripes)).toThrow(LockConfigError);
    expect(() => striped(locks, "", 2)).toThrow(LockConfigError);
    await expect(striped(locks, "s", 2).withAnyStripe(undefined as never)).rejects.toMatchObject({ field: "task" });
    for (const options of [{ waitTimeout: -1 }, { signal: "soon" }, { signal: "soon", waitTimeout: 5 }]) {
      const [field] = Object.keys(options);
      await expect(striped(locks, "s", 2).withAnyStripe(options as never, () => {})).rejects.toMatchObject({ field });
    }
    await expect(striped(locks, "s", 2).withLock("", () => {})).rejects.toMatchObject({ field: "key" });
  });
});

describe("once", () => {
  test("of all who come in one tick, one runs, and the next tick runs again", async () => {
    const members = await fleet(5);
    let runs = 0;
    const tick = () => Promise.all(members.map((locks) => once(locks, "job", { every: 200 }, () => ++runs)));
    const first = await tick();
    expect(first.filter((ran) => ran !== undefined)).toEqual([{ result: 1 }]);
    await sleep(100);
    expect(await tick()).toEqual(Array(5).fill(undefined));
    await sleep(110);
    expect((await tick()).filter((ran) => ran !== undefined)).toEqual([{ result: 2 }]);
  });

  test("a task that fails rejects, and ran all the same; one that is slow keeps the lock beyond its ttl", async () => {
    const [one, other] = await fleet(2);
    const boom = new Error("boom");
    await expect(once(one!, "fails", { every: 5_000 }, () => Promise.reject(boom))).rejects.toBe(boom);
    expect(await once(other!, "fails", { every: 5_000 }, () => "again")).toBeUndefined();
    const gate = deferred();
    const slow = once(one!, "slow", { ttl: 300 }, () => gate.promise);
    await sleep(600);
    expect(await once(other!, "slow", { ttl: 300 }, () => "beside it")).toBeUndefined();
    gate.resolve();
    await slow;
    await Promise.all([one!.close(), other!.close()]);
  });

  test("retryFailed: a task that failed is run again within the tick, one that did not is not", async () => {
    const [one, other] = await fleet(2);
    const options = { every: 5_000, retryFailed: true };
    const boom = new Error("boom");
    const throws = (): void => {
      throw boom;
    };
    for (const task of [() => Promise.reject(boom), throws])
      await expect(once(one!, "job", options, task)).rejects.toBe(boom);
    expect(await once(other!, "job", options, () => "ran")).toEqual({ result: "ran" });
    expect(await once(one!, "job", options, () => "again")).toBeUndefined();
  });

  test("without atLeast a lock with a ttl is free when the task is over", async () => {
    const [one, other] = await fleet(2);
    await once(one!, "job", { ttl: 1_000 }, () => {});
    expect(await once(other!, "job", { ttl: 1_000 }, () => "ran")).toEqual({ result: "ran" });
    await once(one!, "longer", { ttl: 1_000, atLeast: 120 }, () => {});
    expect(await once(other!, "longer", { ttl: 1_000 }, () => "ran")).toBeUndefined();
    await sleep(150);
    expect(await once(other!, "longer", { ttl: 1_000 }, () => "ran")).toEqual({ result: "ran" });
  });

  test("when the task is over nothing is renewed, whatever becomes of the process, and close leaves the lock", async () => {
    const store = memoryStore();
    let renewals = 0;
    const provider = faulty({ renew: (inner) => (renewals++, inner()) }, memoryProvider({ store }));
    const living = await createLocks(provider);
    expect(await once(living, "lives on", { ttl: 30, atLeast: 300 }, () => "ran")).toEqual({ result: "ran" });
    expect(renewals).toBe(1);
    await sleep(200);
    expect(store.inspect("lives on").holders).toHaveLength(1);
    await until(() => store.inspect("lives on").holders.length === 0, 1_000);
    expect(renewals).toBe(1);
    const closing = await createLocks(memoryProvider({ store }));
    await once(closing, "closes", { every: 60_000 }, () => {});
    const since = performance.now();
    await closing.close({ grace: 20_000 });
    expect(performance.now() - since).toBeLessThan(5_000);
    expect(store.inspect("closes").holders[0]?.expiresIn).toBeGreaterThan(50_000);
  });

  test.each(["", "await locks.close();", "process.exit();"])(
    "a process that ran the task comes to its end at once, with %j as without",
    async (end) => {
      const program = `
        import { createLocks } from "@dlock/core";
        import { once } from "@dlock/core/recipes";
        const locks = await createLocks("memory:");
        console.log(await once(locks, "job", { every: 60_000 }, () => "ran"));
        ${end}
      `;
      const start = performance.now();
      expect(await runProgram(program)).toBe("{ result: 'ran' }\n");
      expect(performance.now() - start).toBeLessThan(20_000);
    },
  );

  test("while the task runs the lease lasts until atLeast, and ttl from its last renewal, and no longer", async () => {
    vi.useFakeTimers();
    try {
      const store = memoryStore();
      const locks = await createLocks(memoryProvider({ store }));
      const task = deferred();
      const since = performance.now();
      const running = once(locks, "job", { every: 100_000, atLeast: 90_000, ttl: 6_000 }, () => task.promise);
      for (let at = 0; at < 150_000; at += 1_000) {
        await vi.advanceTimersByTimeAsync(1_000);
        const now = performance.now() - since;
        const end = now + store.inspect("job").holders[0]!.expiresIn!;
        expect(end).toBeGreaterThanOrEqual(Math.max(90_000, now + 3_000));
        expect(end).toBeLessThanOrEqual(Math.max(90_001, now + 6_000));
      }
      task.resolve();
      await running;
      // The tick is over: nobody is kept out for the next one.
      expect(store.size).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test("without a ttl it is half a minute, or the tick where that is shorter", async () => {
    vi.useFakeTimers();
    try {
      const store = memoryStore();
      const locks = await createLocks(memoryProvider({ store }));
      for (const [every, ttl] of [
        [86_400_000, 30_000],
        [3_000, 3_000],
      ] as const) {
        const task = deferred();
        const running = once(locks, "job", { every, atLeast: 1_000 }, () => task.promise);
        await vi.advanceTimersByTimeAsync(every * 1.5);
        const left = store.inspect("job").holders[0]!.expiresIn!;
        expect(left).toBeGreaterThan(ttl / 2);
        expect(left).toBeLessThanOrEqual(ttl);
        task.resolve();
        await running;
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test("maxHold: a task that hangs is told, and keeps nobody out beyond it and a ttl", async () => {
    vi.useFakeTimers();
    try {
      const [one, other] = await fleet(2);
      for (const atLeast of [0, 4_000, 18_500]) {
        const key = `at least ${atLeast}`;
        let told = false;
        const hung = (lock: Lock) => {
          lock.signal.addEventListener("abort", () => (told = true));
          return never();
        };
        void once(one!, key, { ttl: 3_000, every: 20_000, atLeast, maxHold: 10_000 }, hung);
        await vi.advanceTimersByTimeAsync(9_900);
        expect(await once(other!, key, { ttl: 3_000 }, () => "ran")).toBeUndefined();
        await vi.advanceTimersByTimeAsync(Math.max(3_200, atLeast - 9_900 + 300));
        expect(told).toBe(true);
        expect(await once(other!, key, { ttl: 3_000 }, () => "ran")).toEqual({ result: "ran" });
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test("a renewal of the task's lease that fails is tried again", async () => {
    vi.useFakeTimers();
    try {
      const store = memoryStore();
      let calls = 0;
      const renew = (inner: () => Promise<boolean>) => (calls++ % 2 === 0 ? Promise.reject(new Error("cut")) : inner());
      const locks = await createLocks(faulty({ renew }, memoryProvider({ store })));
      const task = deferred();
      const running = once(locks, "job", { ttl: 600, atLeast: 2_000 }, () => task.promise);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(store.inspect("job").holders).toHaveLength(1);
      task.resolve();
      expect(await running).toEqual({ result: undefined });
    } finally {
      vi.useRealTimers();
    }
  });

  test("a key whose hold would end with its process is refused before the task runs, and not kept", async () => {
    const live = { lost: new AbortController().signal, certainUntil: () => monotonicNow() + 60_000 };
    const calls: string[] = [];
    const sessions = observe(faulty({ claim: (_, make) => Object.assign(make(), live) }), ({ call }) =>
      calls.push(call),
    );
    const locks = await createLocks(
      route({
        routes: { "job:*": memoryProvider() },
        default: {
          guarantees: { ...sessions.guarantees, alive: "session" },
          claim: (request) => sessions.claim(request),
        },
      }),
    );
    expect(locks.guarantees.alive).toBe("session");
    expect(await once(locks, "job:1", { every: 5_000 }, () => "ran")).toEqual({ result: "ran" });
    expect(await once(locks, "job:1", { every: 5_000 }, () => "ran")).toBeUndefined();
    const task = vi.fn<() => void>();
    for (const options of [{ every: 5_000 }, { ttl: 1_000 }, { ttl: 1_000, atLeast: 0 }]) {
      const refused = once(locks, "other", options, task);
      await expect(refused).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "alive", value: "session" });
      await expect(refused).rejects.toThrow(/"lease".*Redis/);
    }
    expect(task).not.toHaveBeenCalled();
    expect(calls).toEqual([]);
  });

  test("it works with a double of Locks that passes its calls on", async () => {
    const real = await createLocks("memory:");
    const double: Locks = Object.create(real, {
      tryWithLock: {
        value: (key: string, options: object, task: () => unknown) => real.tryWithLock(`app/${key}`, options, task),
      },
    }) as Locks;
    expect(await once(double, "job", { every: 5_000 }, () => "ran")).toEqual({ result: "ran" });
    expect(await once(double, "job", { every: 5_000 }, () => "ran")).toBeUndefined();
    expect((await real.inspect("app/job")).holders).toHaveLength(1);
  });

  test("a section that the task left running on its key is not cut short, and the tick is kept all the same", async () => {
    const store = memoryStore();
    const locks = await createLocks(memoryProvider({ store }));
    const gate = deferred();
    let child: Promise<unknown> | undefined;
    const ran = await once(locks, "job", { ttl: 300, atLeast: 600 }, () => {
      child = locks.withLock("job", { reentrant: true }, (lock) => gate.promise.then(() => lock.throwIfLost()));
      return sleep(10).then(() => "ran");
    });
    expect(ran).toEqual({ result: "ran" });
    gate.resolve();
    await child;
    expect(store.inspect("job").holders[0]?.expiresIn).toBeGreaterThan(300);
  });

  test("of a long tick it leaves five seconds, of a short one a tenth", async () => {
    vi.useFakeTimers();
    try {
      const [one, other] = await fleet(2);
      for (const [every, atLeast] of [
        [100_000, 95_000],
        [10_000, 9_000],
      ] as const) {
        const key = `every ${every}`;
        await once(one!, key, { every }, () => {});
        await vi.advanceTimersByTimeAsync(atLeast - 10);
        expect(await other!.tryAcquire(key)).toBeUndefined();
        await vi.advanceTimersByTimeAsync(20);
        expect(await (await other!.tryAcquire(key))?.release()).toBe(true);
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test("a task that returned although its hold was lost rejects with the result", async () => {
    const locks = await createLocks(faulty({ renew: async () => false }));
    const error = await once(locks, "job", { ttl: 40 }, async (lock) => {
      await until(() => lock.signal.aborted);
      return "late";
    }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LockLostError);
    expect(error).toMatchObject({ result: "late" });
  });

  test.each([
    [{}, "every"],
    [{ every: 0 }, "every"],
    [{ every: 1_000, atLeast: 1_000 }, "atLeast"],
    [{ ttl: 5 }, "ttl"],
    [{ ttl: 100, atLeast: -1 }, "atLeast"],
    [{ tick: 5 }, "options"],
    [{ ttl: 100, atLeast: Number.POSITIVE_INFINITY }, "atLeast"],
    [{ every: Number.POSITIVE_INFINITY }, "atLeast"],
    [{ every: 1_000, maxHold: 0 }, "maxHold"],
    [{ every: 1_000, retryFailed: "yes" }, "retryFailed"],
  ])("%j is refused", async (options, field) => {
    const locks = (await fleet(1))[0]!;
    await expect(once(locks, "job", options as { ttl: number }, () => {})).rejects.toMatchObject({
      code: "LOCK_CONFIG",
      field,
    });
  });
});

describe("leader", () => {
  const fast = { lease: 150, renewDeadline: 100, retry: 20 };

  test("leads term by term, with growing tokens, and others see who", async () => {
    const [a, b, watcher] = await fleet(3);
    const seen: (string | undefined)[] = [];
    const stop = new AbortController();
    const observing = (async () => {
      for await (const holder of leader(watcher!, "boss", fast).observe({ signal: stop.signal }))
        seen.push(holder?.owner);
    })();
    const tokens: bigint[] = [];
    let leaders = 0;
    const campaign = async (locks: typeof a, owner: string) => {
      for await (const term of leader(locks!, "boss", { ...fast, owner }).terms()) {
        expect(++leaders).toBe(1);
        tokens.push(term.fencingToken);
        await sleep(60);
        term.throwIfOver();
        leaders -= 1;
        if (tokens.length >= 4) break;
      }
    };
    await Promise.all([campaign(a, "a"), campaign(b, "b")]);
    expect(tokens).toEqual(tokens.toSorted((one, other) => (one < other ? -1 : 1)));
    await until(() => seen.at(-1) === undefined && seen.includes("a") && seen.includes("b"));
    expect(await leader(watcher!, "boss").current()).toBeUndefined();
    stop.abort();
    await observing;
  });

  test("leads on beyond the lease while it renews, and resigns when told to", async () => {
    const [a, b] = await fleet(2);
    const { value: term } = (await leader(a!, "boss", fast).terms().next()) as { value: Term };
    const next = leader(b!, "boss", fast).terms().next();
    await sleep(400);
    term.throwIfOver(20);
    expect(term.signal.aborted).toBe(false);
    await term.resign();
    await term.resign();
    const { value: second } = (await next) as { value: Term };
    expect(second.fencingToken).toBeGreaterThan(term.fencingToken);
    await second.resign();
  });

  test("a leader that cannot renew is over at its renew deadline, before the lease is", async () => {
    let silent = false;
    const locks = await createLocks(faulty({ renew: (inner) => (silent ? never() : inner()) }));
    const { value: term } = (await leader(locks, "boss", { lease: 600, renewDeadline: 200, retry: 20 })
      .terms()
      .next()) as { value: Term };
    silent = true;
    const start = performance.now();
    await until(() => term.signal.aborted);
    expect(performance.now() - start).toBeLessThan(450);
    expect(term.signal.reason).toBeInstanceOf(LockLostError);
    expect(() => term.throwIfOver()).toThrow(LockLostError);
    // Nobody has to wait for the lease.
    await until(async () => (await locks.inspect("boss")).holders.length === 0);
    expect(performance.now() - start).toBeLessThan(500);
  });

  test("an observer rides out a backend that fails now and then, and ends with what can never work", async () => {
    const provider = memoryProvider();
    const trouble = [
      new LockBackendError("away", { retryable: true }),
      undefined,
      new LockBackendError("never", { retryable: false }),
    ];
    const inspect = async (key: string) => {
      const error = trouble.shift();
      if (error) throw error;
      return provider.inspect!(key);
    };
    const locks = await createLocks({ guarantees: provider.guarantees, claim: provider.claim.bind(provider), inspect });
    const observing = leader(locks, "boss", fast).observe();
    expect(await observing.next()).toEqual({ value: undefined, done: false });
    await expect(observing.next()).rejects.toThrow("never");
  });

  test("a lock that is lost as soon as it is had is a term that is over, and nothing is kept", async () => {
    const store = memoryStore();
    const locks = await createLocks(memoryProvider({ store }));
    const losing: typeof locks = Object.create(locks, {
      acquire: {
        value: async () => {
          const lock = await locks.acquire("boss", { ttl: 20, autoRenew: false });
          await until(() => lock.signal.aborted);
          return lock;
        },
      },
    }) as typeof locks;
    const { value: term } = (await leader(losing, "boss", fast).terms().next()) as { value: Term };
    expect(term.signal.aborted).toBe(true);
    expect(() => term.throwIfOver()).toThrow(LockLostError);
    await term.resign();
    expect(store.size).toBe(0);
  });

  test("a campaign goes on for longer than other waits of the same locks may", async () => {
    const store = memoryStore();
    const [locks, other] = await Promise.all([
      createLocks(memoryProvider({ store }), { waitTimeout: 20 }),
      createLocks(memoryProvider({ store })),
    ]);
    const held = await other.acquire("boss");
    const campaign = leader(locks, "boss", fast).terms();
    const first = campaign.next();
    await sleep(60);
    await held.release();
    expect((await first).value?.signal.aborted).toBe(false);
    await campaign.return?.();
    expect(store.size).toBe(0);
  });

  test("a campaign ends with its signal and with the locks, and a loop that is left resigns", async () => {
    const [a, b] = await fleet(2);
    const stop = new AbortController();
    const held = await b!.acquire("boss");
    const waiting = leader(a!, "boss", fast).terms({ signal: stop.signal }).next();
    await until(async () => (await b!.inspect("boss")).waiters.length === 1);
    stop.abort();
    expect(await waiting).toEqual({ value: undefined, done: true });
    await held.release();
    for await (const term of leader(a!, "boss", fast).terms()) {
      expect(term.signal.aborted).toBe(false);
      break;
    }
    expect((await b!.inspect("boss")).holders).toEqual([]);
    await a!.close();
    await expect(leader(a!, "boss", fast).terms().next()).rejects.toBeInstanceOf(LockClosedError);
  });

  test.each([
    [{ lease: 10_000 }, "renewDeadline"],
    [{ retry: 9_000 }, "retry"],
    [{ lease: 0 }, "ttl"],
    [{ leaseDuration: 5 }, "options"],
  ])("%j is refused", async (options, field) => {
    const locks = (await fleet(1))[0]!;
    expect(() => leader(locks, "boss", options as object)).toThrow(
      expect.objectContaining({ code: "LOCK_CONFIG", field }) as Error,
    );
  });
});
