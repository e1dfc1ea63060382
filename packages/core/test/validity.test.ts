import { createLocks, type Lock, LockBackendError, type LocksOptions } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { deferred, type Faults, faulty } from "./support.js";

interface Sent {
  /** ms since the lock was asked for. */
  readonly at: number;
  readonly ttl: number;
  /** What the claim tells core. */
  readonly answer: (alive: boolean) => Promise<void>;
  readonly fail: (error: Error) => Promise<void>;
}

/** A hold whose renewals reach the server at once, and are answered when a test says so. */
async function held(
  options: { readonly ttl: number; readonly autoRenew?: boolean; readonly maxHold?: number },
  faults: Faults = {},
) {
  const since = performance.now();
  const sent: Sent[] = [];
  const told: string[] = [];
  const provider = faulty({
    renew: (inner, ttl) => {
      void inner();
      const { promise, resolve, reject } = deferred<boolean>();
      const settled = () => vi.advanceTimersByTimeAsync(0).then(() => {});
      const answer = (alive: boolean) => (resolve(alive), settled());
      sent.push({ at: performance.now() - since, ttl, answer, fail: (error) => (reject(error), settled()) });
      return promise;
    },
    ...faults,
  });
  const on = {
    renewed: () => told.push("renewed"),
    renewFailed: () => told.push("renewFailed"),
    lost: () => told.push("lost"),
  } satisfies LocksOptions["on"];
  const lock = await (await createLocks(provider, { on })).acquire("k", options);
  /** ms since the lock was asked for, of which the hold is certain; whole ones. */
  const certain = () => performance.now() - since + left(lock);
  const reach = (at: number) => vi.advanceTimersByTimeAsync(at - (performance.now() - since));
  return { lock, sent, told, certain, reach };
}

/** ms for which the hold is certain from now on. */
function left(lock: Lock): number {
  for (let [low, high] = [0, 100_000]; ;) {
    if (high - low < 2) return low;
    const middle = Math.floor((low + high) / 2);
    try {
      lock.throwIfLost(middle);
      low = middle;
    } catch {
      high = middle;
    }
  }
}

/** What a lease asked for at `at` is trusted for. */
const end = (at: number, ttl: number): number => at + ttl * 0.99 - 2;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("an answer to a renewal", () => {
  test("that takes longer than a third of the ttl keeps the hold, for as long as answers come", async () => {
    for (const share of [0.36, 0.5, 0.6]) {
      const sent: number[] = [];
      const told = { renewed: 0, renewFailed: 0, lost: 0 };
      const provider = faulty({
        renew: async (inner) => {
          sent.push(performance.now());
          await new Promise((resolve) => setTimeout(resolve, 500 * share));
          const alive = inner();
          await new Promise((resolve) => setTimeout(resolve, 500 * share));
          return alive;
        },
      });
      const on = {
        renewed: ({ took }: { readonly took: number }) => {
          told.renewed++;
          expect(took).toBeGreaterThan(1_000 / 3);
        },
        renewFailed: () => told.renewFailed++,
        lost: () => told.lost++,
      };
      const lock = await (await createLocks(provider, { on })).acquire("k", { ttl: 1_000 });
      await vi.advanceTimersByTimeAsync(60_000);
      lock.throwIfLost();
      expect(told.lost).toBe(0);
      expect(told.renewFailed).toBeGreaterThan(100);
      expect(told.renewed).toBeGreaterThan(100);
      // One every third of the ttl, and no more, however many are on their way.
      expect(sent.length).toBeGreaterThan(175);
      expect(sent.length).toBeLessThanOrEqual(181);
      expect(await lock.release()).toBe(true);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  test("proves the hold from the time at which that one was sent, however late it comes", async () => {
    const { certain, lock, reach, sent, told } = await held({ ttl: 3_000 });
    await reach(2_900);
    expect(sent.map(({ at }) => Math.round(at / 10) * 10)).toEqual([1_000, 2_000]);
    expect(told).toEqual(["renewFailed"]);
    await sent[0]!.answer(true);
    expect(told).toEqual(["renewFailed", "renewed"]);
    expect(Math.abs(certain() - end(1_000, 3_000))).toBeLessThan(3);
    await reach(3_950);
    expect(lock.signal.aborted).toBe(false);
    await reach(3_970);
    expect(lock.signal.aborted).toBe(true);
  });

  test("only ever adds to what is certain, in whatever order the answers come", async () => {
    const { certain, reach, sent } = await held({ ttl: 3_000 });
    await reach(2_100);
    await sent[1]!.answer(true);
    expect(Math.abs(certain() - end(2_000, 3_000))).toBeLessThan(3);
    await sent[0]!.answer(true);
    expect(Math.abs(certain() - end(2_000, 3_000))).toBeLessThan(3);
    await reach(4_500);
    expect(sent.length).toBe(4);
    await sent[2]!.answer(true);
    expect(Math.abs(certain() - end(3_000, 3_000))).toBeLessThan(3);
  });

  test("that the hold is gone ends it, also when it comes late, and whatever was acknowledged meanwhile", async () => {
    const { lock, reach, sent, told } = await held({ ttl: 3_000 });
    await reach(2_100);
    await sent[1]!.answer(true);
    await sent[0]!.answer(false);
    expect(lock.signal.reason).toMatchObject({ code: "LOCK_LOST", message: expect.stringContaining("by the backend") });
    expect(told).toEqual(["renewFailed", "renewed", "lost"]);
    const later = await held({ ttl: 3_000 });
    await later.reach(2_100);
    await later.sent[1]!.answer(false);
    expect(later.lock.signal.aborted).toBe(true);
    await later.sent[0]!.answer(true);
    expect(() => later.lock.throwIfLost()).toThrow("by the backend");
  });

  test("revives no hold whose deadline has passed", async () => {
    const { lock, reach, sent, told } = await held({ ttl: 3_000 });
    await reach(2_980);
    expect(lock.signal.aborted).toBe(true);
    expect(sent.length).toBe(2);
    const before = [...told];
    for (const { answer } of sent) await answer(true);
    await reach(4_000);
    expect(() => lock.throwIfLost()).toThrow("not renewed in time");
    expect(told).toEqual(before);
    expect(sent.length).toBe(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("revives no hold that was given up, and starts no timer", async () => {
    const { lock, reach, sent, told } = await held({ ttl: 3_000 });
    await reach(2_100);
    expect(await lock.release()).toBe(true);
    for (const { answer } of sent) await answer(true);
    expect(told).toEqual(["renewFailed"]);
    expect(vi.getTimerCount()).toBe(0);
    await reach(9_000);
    expect(sent.length).toBe(2);
    expect(lock.signal.aborted).toBe(false);
  });

  test("revives no hold whose claim was lost", async () => {
    const gone = new AbortController();
    const gate = deferred<boolean>();
    const provider = faulty({
      claim: (_, make) => Object.assign(make(), { lost: gone.signal, renew: () => gate.promise }),
    });
    const lock = await (await createLocks(provider)).acquire("k", { ttl: 3_000 });
    await vi.advanceTimersByTimeAsync(2_100);
    gone.abort(new Error("forced"));
    gate.resolve(true);
    await vi.advanceTimersByTimeAsync(100);
    expect(() => lock.throwIfLost()).toThrow("ended by the backend");
    expect(lock.signal.aborted).toBe(true);
  });

  test("does not carry a hold beyond its maxHold", async () => {
    const { lock, reach, sent } = await held({ ttl: 3_000, maxHold: 1_500 });
    await reach(2_500);
    expect(sent.length).toBe(1);
    await sent[0]!.answer(true);
    await reach(3_900);
    lock.throwIfLost();
    await reach(3_970);
    expect(lock.signal.aborted).toBe(true);
  });

  test("is not waited for while others are to be sent, of which there are few, however silent the backend", async () => {
    for (const ttl of [20, 300, 3_000, 60_000]) {
      const { lock, reach, sent } = await held({ ttl });
      await reach(2 * ttl);
      expect(lock.signal.aborted).toBe(true);
      expect(sent.length).toBeGreaterThanOrEqual(2);
      expect(sent.length).toBeLessThanOrEqual(5);
    }
  });

  test("that is an error leaves what others prove", async () => {
    const { certain, reach, sent } = await held({ ttl: 3_000 });
    await reach(2_100);
    await sent[0]!.fail(new Error("cut"));
    await sent[1]!.answer(true);
    expect(Math.abs(certain() - end(2_000, 3_000))).toBeLessThan(3);
  });
});

describe("when a shorter ttl was asked for", () => {
  test("the late answer to a renewal sent before proves no more than that leaves", async () => {
    const { certain, lock, reach, sent } = await held({ ttl: 6_000 });
    await reach(4_100);
    const extending = lock.extend(600).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(0);
    // It waits for its turn: one renewal is under way.
    expect(sent.map(({ ttl }) => ttl)).toEqual([6_000, 6_000]);
    await sent[1]!.fail(new Error("cut"));
    expect(sent.map(({ ttl }) => ttl)).toEqual([6_000, 6_000, 600]);
    expect(Math.abs(certain() - end(4_100, 600))).toBeLessThan(3);
    await sent[0]!.answer(true);
    expect(Math.abs(certain() - end(4_100, 600))).toBeLessThan(3);
    expect(lock.ttl).toBe(600);
    await reach(4_700);
    expect(lock.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await extending).toMatchObject({ code: expect.stringMatching(/LOCK_BACKEND|LOCK_LOST/) });
  });

  test("and is not answered, renewals go on by its measure, and a longer one counts in full when it can be in force no more", async () => {
    const { certain, lock, reach, sent } = await held({ ttl: 6_000 });
    const shorter = lock.extend(600).catch((error: unknown) => error);
    await reach(250);
    expect(sent.map(({ ttl }) => ttl)).toEqual([600, 600]);
    await sent[1]!.answer(true);
    expect(Math.abs(certain() - end(200, 600))).toBeLessThan(3);
    const longer = lock.extend(6_000);
    await vi.advanceTimersByTimeAsync(0);
    await sent[2]!.answer(true);
    await longer;
    expect(lock.ttl).toBe(6_000);
    // The server may see them in the other order.
    expect(Math.abs(certain() - end(250, 600))).toBeLessThan(3);
    for (let at = 400; at < 11_000; at += 50) {
      await reach(at);
      for (const each of sent.slice(3)) await each.answer(true);
      lock.throwIfLost();
    }
    expect(await shorter).toBeInstanceOf(LockBackendError);
    expect(left(lock)).toBeGreaterThan(3_900);
    expect(await lock.release()).toBe(true);
  });

  test("and acknowledged, the late answer to an earlier and longer extend brings neither its end nor its ttl back", async () => {
    const { certain, lock, reach, sent } = await held({ ttl: 3_000, autoRenew: false });
    const longer = lock.extend(9_000).catch((error: unknown) => error);
    await reach(1_500);
    expect(await longer).toBeInstanceOf(LockBackendError);
    const shorter = lock.extend(800);
    await vi.advanceTimersByTimeAsync(0);
    await sent[1]!.answer(true);
    await shorter;
    await sent[0]!.answer(true);
    expect(lock.ttl).toBe(800);
    expect(Math.abs(certain() - end(1_500, 800))).toBeLessThan(3);
    await reach(2_300);
    expect(lock.signal.aborted).toBe(true);
  });
});

describe("extend", () => {
  test("rejects within its limit, and its late answer counts all the same", async () => {
    for (const autoRenew of [true, false]) {
      const { certain, lock, reach, sent } = await held({ ttl: 3_000, autoRenew });
      await reach(500);
      const extending = lock.extend(9_000).catch((error: unknown) => error);
      await reach(1_499);
      expect(sent.map(({ ttl }) => ttl)).toEqual([9_000]);
      await reach(1_501);
      expect(await extending).toBeInstanceOf(LockBackendError);
      expect(Math.abs(certain() - end(0, 3_000))).toBeLessThan(3);
      await reach(2_500);
      await sent[0]!.answer(true);
      expect(lock.ttl).toBe(9_000);
      // A renewal at the ttl from before may have come after it.
      const proven = autoRenew ? end(1_500, 3_000) : end(500, 9_000);
      expect(Math.abs(certain() - proven)).toBeLessThan(3);
      expect(await lock.release()).toBe(true);
    }
  });
});

describe("a downgrade", () => {
  /** One that takes effect at once and is answered when a test says so. */
  async function downgrading(ttl: number) {
    const answers: ((shared: boolean) => void)[] = [];
    const provider = faulty({
      claim: (_, make) => {
        const claim = make();
        const inner = claim.downgrade!.bind(claim);
        const downgrade = async () => {
          await inner();
          return new Promise<boolean>((resolve) => answers.push(resolve));
        };
        return Object.assign(claim, { downgrade });
      },
    });
    const locks = await createLocks(provider);
    const lock = await locks.acquire("k", { ttl });
    const outcome = lock.downgrade().then(
      () => "done",
      (error: unknown) => error,
    );
    await vi.advanceTimersByTimeAsync(ttl / 2);
    return { answers, lock, locks, outcome };
  }

  test("that is answered late costs no hold, which counts as shared from when it was asked for", async () => {
    const { answers, lock, locks, outcome } = await downgrading(3_000);
    expect(await outcome).toBeInstanceOf(LockBackendError);
    expect(lock.mode).toBe("shared");
    await vi.advanceTimersByTimeAsync(9_000);
    lock.throwIfLost(1_000);
    answers[0]!(true);
    await vi.advanceTimersByTimeAsync(0);
    // It is known now: nothing more is asked.
    await lock.downgrade();
    expect(answers.length).toBe(1);
    const reader = await locks.tryAcquire("k", { mode: "shared" });
    expect(reader).toBeDefined();
    expect(await lock.release()).toBe(true);
  });

  test("proves nothing for the time to come, and its late word that the hold is gone ends it", async () => {
    const { answers, lock, outcome } = await downgrading(3_000);
    await outcome;
    const before = left(lock);
    answers[0]!(false);
    await vi.advanceTimersByTimeAsync(0);
    expect(before).toBeGreaterThan(0);
    expect(() => lock.throwIfLost()).toThrow("ended by the backend");
  });
});

describe("a grant that is half over when its answer comes", () => {
  /** Answers, each after so many ms: `yes` with what the server says when it was asked. */
  function slow(...answers: readonly (readonly [ms: number, what: "yes" | "no" | "error" | "never"])[]) {
    const asked: number[] = [];
    const released: number[] = [];
    const inner = memoryProvider();
    const since = performance.now();
    const provider = faulty(
      {
        tryAcquire: async (ask) => {
          const [ms, what] = answers[asked.push(performance.now() - since) - 1] ?? [0, "yes"];
          const token = what === "yes" ? await ask() : undefined;
          await new Promise((resolve) => setTimeout(resolve, ms));
          if (what === "error") throw Object.assign(new Error("cut"), { retryable: true });
          return what === "never" ? new Promise<never>(() => {}) : token;
        },
        release: (give) => (released.push(performance.now() - since), give()),
      },
      inner,
    );
    return { asked, inner, provider, released };
  }

  for (const call of ["acquire", "tryAcquire"] as const) {
    test(`is asked for once more, which starts the lease anew: ${call}`, async () => {
      for (const first of [600, 1_500]) {
        const { asked, provider } = slow([first, "yes"], [100, "yes"]);
        const locks = await createLocks(provider);
        const acquiring = locks[call]("k", { ttl: 1_000 });
        await vi.advanceTimersByTimeAsync(first + 100);
        const lock = await acquiring;
        expect(asked.map(Math.round)).toEqual([0, first]);
        lock!.throwIfLost(850);
        await lock!.release();
      }
      const { asked, provider } = slow([400, "yes"]);
      const acquiring = (await createLocks(provider))[call]("k", { ttl: 1_000, autoRenew: false });
      await vi.advanceTimersByTimeAsync(400);
      await (await acquiring)!.release();
      expect(asked.length).toBe(1);
    });

    test(`is handed over with what is left when asking again fails: ${call}`, async () => {
      const { asked, provider } = slow([600, "yes"], [100, "error"]);
      const acquiring = (await createLocks(provider))[call]("k", { ttl: 1_000 });
      await vi.advanceTimersByTimeAsync(700);
      const lock = await acquiring;
      expect(asked.length).toBe(2);
      lock!.throwIfLost();
      // It is renewed at once.
      await vi.advanceTimersByTimeAsync(5_000);
      lock!.throwIfLost(600);
      expect(await lock!.release()).toBe(true);
    });
  }

  test("is no grant when the server says then that it is not held any more", async () => {
    const { asked, inner, provider } = slow([600, "yes"], [0, "no"]);
    const trying = (await createLocks(provider)).tryAcquire("k", { ttl: 1_000 });
    await vi.advanceTimersByTimeAsync(610);
    expect(await trying).toBeUndefined();
    expect(asked.length).toBe(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await inner.inspect!("k")).holders).toEqual([]);
  });

  test("is handed over before the waiter's deadline, while it is certain, when the second answer does not come", async () => {
    const { provider } = slow([600, "yes"], [0, "never"]);
    const acquiring = (await createLocks(provider)).acquire("k", { ttl: 1_000, waitTimeout: 800 });
    await vi.advanceTimersByTimeAsync(790);
    const lock = await acquiring;
    lock.throwIfLost(150);
    await vi.advanceTimersByTimeAsync(3_000);
    lock.throwIfLost(600);
    await lock.release();
  });

  test("goes to no waiter whose deadline has passed, and is given up", async () => {
    const { asked, inner, provider, released } = slow([600, "yes"], [500, "yes"]);
    const acquiring = (await createLocks(provider)).acquire("k", { ttl: 2_000, waitTimeout: 550 });
    const failure = acquiring.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await failure).toMatchObject({ code: "LOCK_TIMEOUT" });
    expect(asked.length).toBe(1);
    expect(released.length).toBeGreaterThan(0);
    expect((await inner.inspect!("k")).holders).toEqual([]);
  });

  test("leaves nothing behind when the wait is cancelled while it is asked for again", async () => {
    for (const call of ["acquire", "tryAcquire"] as const) {
      const { asked, inner, provider } = slow([600, "yes"], [600, "yes"]);
      const { abort, signal } = withAbort();
      const failure = (await createLocks(provider))[call]("k", { ttl: 1_000, signal }).catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(700);
      expect(asked.length).toBe(2);
      abort();
      expect(await failure).toBe("enough");
      await vi.advanceTimersByTimeAsync(100);
      expect((await inner.inspect!("k")).holders).toEqual([]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect((await inner.inspect!("k")).holders).toEqual([]);
      expect(asked.length).toBe(2);
    }
  });

  test("is asked for no more when the wait was cancelled before", async () => {
    const { asked, inner, provider } = slow([600, "yes"], [0, "yes"]);
    const { abort, signal } = withAbort();
    const failure = (await createLocks(provider))
      .tryAcquire("k", { ttl: 1_000, signal })
      .catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(500);
    abort();
    expect(await failure).toBe("enough");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked.length).toBe(1);
    expect((await inner.inspect!("k")).holders).toEqual([]);
  });

  test("may be in doubt while an earlier attempt can take effect: a longer lease counts in full only after that", async () => {
    const { provider } = slow([600, "yes"], [0, "error"]);
    const acquiring = (await createLocks(provider)).acquire("k", { ttl: 1_000, backendTimeout: 3_000 });
    await vi.advanceTimersByTimeAsync(610);
    const lock = await acquiring;
    await lock.extend(20_000);
    expect(left(lock)).toBeLessThan(1_000);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(left(lock)).toBeGreaterThan(12_000);
    await lock.release();
  });
});

function withAbort() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort("enough") };
}
