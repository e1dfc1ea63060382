import { createLocks, LockReentryError } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { expect, test } from "vitest";
import { faulty, until } from "./support.js";

const shared = { mode: "shared" } as const;

test("an upgrade inside of a shared section is refused at once, also to those who re-enter", async () => {
  const locks = await createLocks("memory:");
  await locks.withLock("k", shared, async () => {
    for (const reentrant of [false, true]) {
      const upgrade = locks.acquire("k", { reentrant });
      await expect(upgrade).rejects.toBeInstanceOf(LockReentryError);
      await expect(upgrade).rejects.toThrow(/held shared .* exclusive first and downgrade\(\)/);
      expect(await locks.tryAcquire("k", { reentrant })).toBeUndefined();
    }
  });
});

test("reentrant: readers inside of a shared section run side by side; a reader inside of an exclusive one shares that", async () => {
  const locks = await createLocks("memory:");
  let inside = 0;
  const both = async () => {
    inside += 1;
    await until(() => inside === 2);
  };
  const again = { ...shared, reentrant: true };
  await locks.withLock("k", shared, () =>
    Promise.all([locks.withLock("k", again, both), locks.withLock("k", again, both)]),
  );
  await locks.withLock("k", async (outer) => {
    await locks.withLock("k", again, (inner) =>
      expect(inner).toMatchObject({ mode: "exclusive", fencingToken: outer.fencingToken }),
    );
  });
});

test("a downgraded lock is shared, stays held and renewed, and says so in its events", async () => {
  const seen: string[] = [];
  const locks = await createLocks("memory:", { on: { released: ({ mode }) => seen.push(mode) } });
  const lock = await locks.acquire("k", { ttl: 60 });
  await lock.downgrade();
  await lock.downgrade();
  expect(lock.mode).toBe("shared");
  const reader = await locks.acquire("k", { ...shared, waitTimeout: 0 });
  await new Promise((resolve) => setTimeout(resolve, 150));
  lock.throwIfLost();
  expect((await locks.inspect("k")).holders.map(({ mode }) => mode)).toEqual(["shared", "shared"]);
  await reader.release();
  expect(await lock.release()).toBe(true);
  expect(seen).toEqual(["shared", "shared"]);
  await expect(lock.downgrade()).rejects.toMatchObject({ code: "LOCK_LOST" });
});

test("a downgrade that is not offered, or of a semaphore's permit, is refused; one of a lost hold is a loss", async () => {
  const plain = await createLocks(faulty({}));
  await expect((await plain.acquire("k")).downgrade()).rejects.toMatchObject({
    code: "LOCK_CONFIG",
    field: "downgrade",
  });
  const locks = await createLocks("memory:");
  const permit = await locks.acquire("p", { limit: 2 });
  await expect(permit.downgrade()).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "downgrade" });
  const provider = memoryProvider();
  const gone = await (await createLocks(provider)).acquire("k");
  await provider.forceRelease!("k");
  await expect(gone.downgrade()).rejects.toMatchObject({ code: "LOCK_LOST" });
  expect(gone.signal.aborted).toBe(true);
});

test("a hold is not downgraded while other sections share it: they count on being alone", async () => {
  const locks = await createLocks("memory:");
  const refused = { code: "LOCK_CONFIG", field: "downgrade" };
  await locks.withLock("k", async (outer) => {
    await locks.withLock("k", { reentrant: true }, async (inner) => {
      for (const lock of [inner, outer]) await expect(lock.downgrade()).rejects.toMatchObject(refused);
      expect(outer.mode).toBe("exclusive");
    });
    const asked = outer.downgrade();
    const inside = locks.withLock("k", { reentrant: true }, (inner) => inner.mode);
    // Whoever was first has what it asked for.
    expect((await Promise.allSettled([asked, inside])).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    await outer.downgrade();
    expect(outer.mode).toBe("shared");
    expect(await locks.withLock("k", { reentrant: true, mode: "shared" }, () => "in")).toBe("in");
  });
});

test("a downgrade that nobody answers ends before the hold does, which goes on", async () => {
  const inner = memoryProvider();
  let silent = true;
  const locks = await createLocks({
    guarantees: inner.guarantees,
    claim(request) {
      const claim = inner.claim(request);
      const downgrade = claim.downgrade?.bind(claim);
      return Object.assign(claim, { downgrade: () => (silent ? new Promise(() => {}) : downgrade?.()) });
    },
  });
  const lock = await locks.acquire("k", { ttl: 150 });
  await expect(lock.downgrade()).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
  await new Promise((resolve) => setTimeout(resolve, 200));
  lock.throwIfLost();
  silent = false;
  await lock.downgrade();
  const reader = await locks.acquire("k", { ...shared, waitTimeout: 0 });
  await Promise.all([reader.release(), lock.release()]);
});

test("several keys: an upgrade among them is refused as it is for one, and nothing is kept", async () => {
  const locks = await createLocks("memory:");
  await locks.withLock("b", shared, async () => {
    const all = locks.acquireAll(["a", "b"], { reentrant: true });
    await expect(all).rejects.toBeInstanceOf(LockReentryError);
    await expect(all).rejects.toMatchObject({ key: "b" });
    expect((await locks.inspect("a")).holders).toEqual([]);
  });
});

test("a downgrade without an answer leaves a lock that counts as shared, and may be asked for again", async () => {
  const inner = memoryProvider();
  let calls = 0;
  const locks = await createLocks({
    guarantees: inner.guarantees,
    claim(request) {
      const claim = inner.claim(request);
      return Object.assign(claim, {
        downgrade: () => (++calls === 1 ? Promise.reject(new Error("no answer")) : Promise.resolve(true)),
      });
    },
  });
  const lock = await locks.acquire("k");
  await expect(lock.downgrade()).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  expect(lock.mode).toBe("shared");
  await lock.downgrade();
  await lock.downgrade();
  expect(calls).toBe(2);
  lock.throwIfLost();
  await lock.release();
});
