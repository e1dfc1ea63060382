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
