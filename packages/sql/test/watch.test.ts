import { expect, test, vi } from "vitest";
import { type Look, Watch } from "../src/watch.js";
import { now, sleep } from "./store.js";

const pace = { shortest: 10, longest: 40 };
const never = () => new AbortController().signal;

/** Leases that last until they are told to end. */
function leases(...held: readonly string[]) {
  const remaining = new Map(held.map((key) => [key, 60_000]));
  const looks: (readonly string[])[] = [];
  const look: Look = async (keys) => {
    looks.push(keys);
    const seen = new Map(remaining);
    await sleep(1);
    return seen;
  };
  return { remaining, looks, watch: new Watch(look, pace) };
}

test("waits for many keys are one look, and looks come one at a time", async () => {
  const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`);
  const { watch, looks, remaining } = leases(...keys);
  const waits = keys.map((key) => watch.wait(key, never()));
  await sleep(300);
  expect(looks.flat().length / looks.length).toBeGreaterThan(20);
  expect(looks.length).toBeLessThan(100);
  remaining.clear();
  expect(new Set(await Promise.all(waits))).toEqual(new Set([true]));
});

test("no look is for more keys than a statement takes", async () => {
  const { watch, looks } = leases();
  const waits = Array.from({ length: 1_200 }, (_, index) => watch.wait(`key ${index}`, never()));
  expect(new Set(await Promise.all(waits))).toEqual(new Set([false]));
  const sizes = looks.map((keys) => keys.length);
  expect(Math.max(...sizes)).toBe(512);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(1_200);
});

test("a lease that is about to end is looked at when it does", async () => {
  const { watch, remaining } = leases();
  watch.pace = { shortest: 10_000, longest: 10_000 };
  remaining.set("key", 50);
  setTimeout(() => remaining.delete("key"), 50);
  const since = now();
  expect(await watch.wait("key", never())).toBe(true);
  expect(now() - since).toBeLessThan(1_000);
});

test("who is woken looks at once, also when woken while he is looked at", async () => {
  const { watch, remaining, looks } = leases("key", "other");
  watch.pace = { shortest: 10_000, longest: 10_000 };
  const wait = watch.wait("key", never());
  const other = new AbortController();
  const others = watch.wait("other", other.signal);
  await vi.waitUntil(() => looks.length > 0);
  remaining.delete("key");
  // The look that is under way has yet to say that it is held.
  watch.wake("key");
  expect(await wait).toBe(true);
  other.abort();
  expect(await others).toBe(true);
});

test("a wait that is aborted ends at once, and looks end with the last one", async () => {
  const { watch, looks } = leases("key");
  const aborter = new AbortController();
  const wait = watch.wait("key", aborter.signal);
  await sleep(50);
  aborter.abort();
  expect(await wait).toBe(true);
  await sleep(5);
  const { length } = looks;
  await sleep(100);
  expect(looks).toHaveLength(length);
  expect(await watch.wait("key", aborter.signal)).toBe(false);
});

test("a look that fails ends the waits it was for, and the next one is looked for again", async () => {
  let broken = true;
  const watch = new Watch(async () => {
    if (broken) throw new Error("broken");
    return new Map();
  }, pace);
  const waits = await Promise.allSettled([watch.wait("a", never()), watch.wait("b", never())]);
  for (const wait of waits) expect(wait).toMatchObject({ status: "rejected", reason: { message: "broken" } });
  broken = false;
  expect(await watch.wait("a", never())).toBe(false);
});
