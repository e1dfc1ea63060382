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

const again = { reentrant: true } as const;

test("reentrant: a section inside of a section shares its hold, which lives until the last of them is over", async () => {
  const locks = await createLocks("memory:");
  const gate = deferred();
  let child: Promise<boolean> | undefined;
  await locks.withLock("k", async (outer) => {
    await locks.withLock("k", again, (inner) => {
      expect(inner).toMatchObject({ fencingToken: outer.fencingToken, key: "k", mode: "exclusive", ttl: outer.ttl });
    });
    outer.throwIfLost();
    expect((await locks.inspect("k")).holders).toHaveLength(1);
    const { promise, resolve } = deferred();
    child = locks.withLock("k", again, async (inner) => {
      resolve();
      await gate.promise;
      inner.throwIfLost();
      return (await locks.inspect("k")).holders[0]?.fencingToken === inner.fencingToken;
    });
    await promise;
  });
  expect(await locks.tryAcquire("k")).toBeUndefined();
  gate.resolve();
  expect(await child).toBe(true);
  await (await locks.acquire("k", { waitTimeout: 1_000 })).release();
});

test("reentrant: whoever has given up its share is told so, although the hold goes on", async () => {
  const locks = await createLocks("memory:");
  await locks.withLock("k", async (outer) => {
    const inner = await locks.acquire("k", again);
    expect(await inner.release()).toBe(true);
    expect(() => inner.throwIfLost()).toThrow(/was given up/);
    await expect(inner.extend()).rejects.toMatchObject({ code: "LOCK_LOST" });
    outer.throwIfLost();
  });
});

test("reentrant: a child that was not in when the section ended waits like anybody else", async () => {
  const locks = await createLocks("memory:");
  const gate = deferred();
  let child: Promise<bigint> | undefined;
  const token = await locks.withLock("k", (outer) => {
    child = gate.promise.then(() => locks.withLock("k", again, (inner) => inner.fencingToken));
    return outer.fencingToken;
  });
  const other = await locks.acquire("k");
  gate.resolve();
  await until(async () => (await locks.inspect("k")).waiters.length === 1);
  await other.release();
  expect(await child).toBeGreaterThan(token);
});

test("reentrant: parallel siblings run one after the other, in their order, and nest further", async () => {
  const locks = await createLocks("memory:");
  const steps: string[] = [];
  const section = (name: string) => async () => {
    steps.push(`${name} in`);
    await locks.withLock("k", again, () => new Promise(setImmediate));
    steps.push(`${name} out`);
  };
  await locks.withLock("k", () =>
    Promise.all(["a", "b", "c"].map((name) => locks.withLock("k", again, section(name)))),
  );
  expect(steps).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
  expect((await locks.inspect("k")).holders).toEqual([]);
});

test("reentrant: a sibling that gives up its wait, or has none, is passed over", async () => {
  const locks = await createLocks("memory:");
  await locks.withLock("k", async () => {
    const gate = deferred();
    const first = locks.withLock("k", again, () => gate.promise);
    const aborter = new AbortController();
    const aborted = locks.acquire("k", { ...again, signal: aborter.signal });
    const timedOut = locks.acquire("k", { ...again, waitTimeout: 20 });
    const last = locks.withLock("k", again, () => "in");
    expect(await locks.tryAcquire("k", again)).toBeUndefined();
    await expect(locks.acquire("k", { ...again, waitTimeout: 0 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
    await expect(timedOut).rejects.toMatchObject({ code: "LOCK_TIMEOUT", waitTimeout: 20 });
    aborter.abort("enough");
    await expect(aborted).rejects.toBe("enough");
    gate.resolve();
    await first;
    expect(await last).toBe("in");
    const free = await locks.tryAcquire("k", again);
    expect(await free?.release()).toBe(true);
  });
});

test("reentrant: siblings that wait inside of a hold that is lost are told at once", async () => {
  const locks = await createLocks("memory:");
  const section = locks.withLock("k", { ttl: 30, autoRenew: false }, async () => {
    const first = locks.withLock("k", again, () => new Promise((resolve) => setTimeout(resolve, 200)));
    const second = locks.withLock("k", again, () => "in");
    await expect(second).rejects.toMatchObject({ code: "LOCK_LOST" });
    await expect(first).rejects.toMatchObject({ code: "LOCK_LOST" });
  });
  await expect(section).rejects.toMatchObject({ code: "LOCK_LOST" });
});

test("reentrant: outside of a section it is a lock like any other", async () => {
  const locks = await createLocks("memory:");
  const first = await locks.acquire("k", again);
  await expect(locks.acquire("k", { ...again, waitTimeout: 10 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
  await first.release();
});

test("reentrant: a hold is shared on its own terms only: another limit is another number of others beside it", async () => {
  const locks = await createLocks("memory:");
  const asks = { permit: { limit: 3 }, alone: {}, reader: { mode: "shared" } } as const;
  for (const [outer, allowed] of [
    ["permit", ["permit"]],
    ["alone", ["alone", "reader"]],
  ] as const) {
    await locks.withLock("k", asks[outer], async () => {
      for (const [name, ask] of Object.entries(asks)) {
        const terms = { ...again, ...ask };
        const ways = [() => locks.withLock("k", terms, () => "in"), () => locks.tryWithLock("k", terms, () => "in")];
        for (const way of ways) {
          const outcome = await way().catch((error: unknown) => error);
          if ((allowed as readonly string[]).includes(name)) expect(["in", { result: "in" }]).toContainEqual(outcome);
          else expect(outcome).toMatchObject({ code: "LOCK_CONFIG", field: "limit" });
        }
      }
    });
  }
});
