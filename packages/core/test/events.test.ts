import { createLocks, type LockEventName } from "@dlock/core";
import { expect, test, vi } from "vitest";
import { until } from "./support.js";

const names: LockEventName[] = [
  "contended",
  "acquired",
  "abandoned",
  "renewed",
  "renewFailed",
  "lost",
  "released",
  "releaseFailed",
  "warning",
];

test("every step of a lock's life is an event with what it took", async () => {
  const locks = await createLocks("memory:", { owner: "me" });
  const seen: [string, object][] = [];
  for (const name of names) locks.on(name, (event) => seen.push([name, event]));
  const lock = await locks.acquire("k", { ttl: 300 });
  const waiter = locks.acquire("k");
  await until(() => seen.some(([name]) => name === "renewed"));
  await expect(locks.acquire("k", { waitTimeout: 1 })).rejects.toThrow();
  await lock.release();
  const second = await waiter;
  await second.release();
  const told = seen.map(([name]) => name).filter((name, at, all) => all.indexOf(name) === at);
  expect(told).toEqual(["acquired", "contended", "renewed", "abandoned", "released"]);
  const about = { key: "k", owner: "me", mode: "exclusive" };
  expect(Object.fromEntries(seen)).toMatchObject({
    contended: about,
    acquired: { ...about, fencingToken: second.fencingToken, waited: expect.any(Number) },
    renewed: { ...about, took: expect.any(Number) },
    abandoned: { ...about, reason: { code: "LOCK_TIMEOUT" }, waited: expect.any(Number) },
    released: { ...about, heldFor: expect.any(Number) },
  });
});

test("a call that does not wait and gets no lock is contended, and abandoned where that is an error", async () => {
  const seen: string[] = [];
  const locks = await createLocks("memory:", {
    on: { contended: () => seen.push("contended"), abandoned: () => seen.push("abandoned") },
  });
  await locks.acquire("k");
  expect(await locks.tryAcquire("k")).toBeUndefined();
  expect(seen).toEqual(["contended"]);
  await expect(locks.acquire("k", { waitTimeout: 0 })).rejects.toMatchObject({ code: "LOCK_TIMEOUT" });
  expect(seen).toEqual(["contended", "contended", "abandoned"]);
});

test("an event that does not exist cannot be listened to", async () => {
  const locks = await createLocks("memory:");
  expect(() => locks.on("acquird" as LockEventName, () => {})).toThrow(/expected "contended" or/);
  await expect(createLocks("memory:", { on: { lost: "yes" } as object })).rejects.toMatchObject({
    code: "LOCK_CONFIG",
  });
});

test("the unsubscribe ends exactly its own subscription", async () => {
  const locks = await createLocks("memory:");
  let heard = 0;
  const listener = () => heard++;
  const [off] = [locks.on("acquired", listener), locks.on("acquired", listener)];
  off();
  off();
  await locks.withLock("k", () => {});
  expect(heard).toBe(1);
});

test("a listener that throws or rejects is a process warning, and the section goes on", async () => {
  const warnings: string[] = [];
  const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation((text) => void warnings.push(String(text)));
  const locks = await createLocks("memory:", {
    on: {
      acquired: () => {
        throw new Error("thrown by a listener");
      },
      released: (async () => Promise.reject(new Error("rejected by a listener"))) as () => void,
    },
  });
  expect(await locks.withLock("k", () => "fine")).toBe("fine");
  await until(() => warnings.length === 2);
  expect(warnings.map((text) => text.split("\n")[0])).toEqual([
    "a listener of dlock failed: Error: thrown by a listener",
    "a listener of dlock failed: Error: rejected by a listener",
  ]);
  emitWarning.mockRestore();
});
