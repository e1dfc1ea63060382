import { createLocks, type Lock, type LockProvider } from "@dlock/core";
import { isSelected, startZooKeeperEnsemble } from "@dlock/testbed";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, until, win } from "./side.js";

describe.runIf(isSelected("zookeeper"))("an ensemble of three", { timeout: 60_000 }, async () => {
  // A follower that hears nothing from its leader goes on answering for ten seconds.
  const ensemble = await startZooKeeperEnsemble(3, { syncLimit: "100" });
  afterAll(() => ensemble.stop());
  const closing: (() => Promise<unknown>)[] = [];
  beforeEach(() => ensemble.settle());
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  const open = opener((close) => closing.push(close));

  async function locksOf(provider: LockProvider) {
    const locks = await createLocks(provider, { backendTimeout: 30_000 });
    closing.unshift(() => locks.close());
    return locks;
  }

  /** Somebody who waits for the lock, and when he got it. */
  function wait(locks: Awaited<ReturnType<typeof locksOf>>, key: string) {
    const seen: { lock?: Lock; at?: number } = {};
    const served = locks.acquire(key).then((lock) => Object.assign(seen, { lock, at: performance.now() }));
    served.catch(() => {});
    return { seen, served };
  }

  function toldAt(lock: Lock) {
    const told: { at?: number } = {};
    lock.signal.addEventListener("abort", () => (told.at = performance.now()));
    return told;
  }

  test.each(["killed", "stopped"] as const)("a leader that is %s costs no hold and no place in line", async (how) => {
    const key = name();
    const [holder, other] = [
      await locksOf(open(ensemble.url, { sessionTimeout: 30_000 }).provider),
      await locksOf(open(ensemble.url, { sessionTimeout: 30_000 }).provider),
    ];
    const lock = await holder.acquire(key);
    const { seen, served } = wait(other, key);
    const leader = await ensemble.leader();
    if (how === "killed") await leader.server.kill();
    else await leader.server.pause();
    closing.push(() => (how === "killed" ? leader.server.restart({ keepData: true }) : leader.server.resume()));
    await ensemble.settle(ensemble.nodes.filter((node) => node !== leader));
    // Until everybody has had to find another server.
    await sleep(6_000);
    lock.throwIfLost(5_000);
    expect(seen.lock).toBeUndefined();
    expect(await lock.release()).toBe(true);
    const { lock: next } = await served;
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    await next.release();
  });

  test("a lost majority ends the hold in time and grants nothing; when it is back everybody goes on", async () => {
    const key = name();
    const sessionTimeout = 3_000;
    const [holder, other] = [
      await locksOf(open(ensemble.url, { sessionTimeout }).provider),
      await locksOf(open(ensemble.url, { sessionTimeout }).provider),
    ];
    const lock = await holder.acquire(key);
    const told = toldAt(lock);
    const { seen, served } = wait(other, key);
    await sleep(500);
    const since = performance.now();
    const followers = await ensemble.followers();
    await Promise.all(followers.map(({ server }) => server.kill()));
    await until(() => told.at !== undefined, 5_000);
    expect((told.at ?? 0) - since).toBeLessThan(sessionTimeout + 100);
    await sleep(2_000);
    expect(seen.lock).toBeUndefined();
    expect(await lock.release()).toBe(false);
    await Promise.all(followers.map(({ server }) => server.restart({ keepData: true })));
    const { lock: next } = await served;
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    await next.release();
    expect(await holder.withLock(key, async () => "works")).toBe("works");
  });

  test("a holder whose follower is cut off from the leader is told before anybody else is granted the lock", async () => {
    const [follower] = await ensemble.followers();
    const leader = await ensemble.leader();
    if (follower === undefined) throw new Error("there is no follower");
    const sessionTimeout = 2_000;
    for (let round = 0; round < 3; round++) {
      const key = name();
      const holder = await locksOf(open(follower.url, { sessionTimeout }).provider);
      const other = await locksOf(open(leader.url, { sessionTimeout }).provider);
      const lock = await holder.acquire(key);
      const told = toldAt(lock);
      const { seen, served } = wait(other, key);
      await sleep(500 + round * 70);
      lock.throwIfLost();
      ensemble.between(leader, follower).freeze();
      await served;
      // It still answers whoever asks it.
      expect(await follower.role()).toBe("follower");
      expect(told.at).toBeDefined();
      expect(told.at).toBeLessThan(seen.at ?? 0);
      ensemble.between(leader, follower).heal();
      expect(await lock.release()).toBe(false);
      seen.lock?.throwIfLost();
      await seen.lock?.release();
    }
  });

  test("a waiter whose turn came, and whose follower is cut off since then, does not believe what that follower says", async () => {
    const [follower] = await ensemble.followers();
    const leader = await ensemble.leader();
    if (follower === undefined) throw new Error("there is no follower");
    const { claim: here } = open(follower.url, { sessionTimeout: 2_000 });
    const { claim: there } = open(leader.url, { sessionTimeout: 20_000 });
    const key = name();
    const [holder, waiter, next] = [there(key), here(key), there(key)];
    await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(await next.tryAcquire(soon())).toBeUndefined();
    const turn = waiter.waitTurn(AbortSignal.timeout(5_000));
    await holder.release();
    await turn;
    ensemble.between(leader, follower).freeze();
    const token = await win(next);
    await expect(waiter.tryAcquire(soon(1_500))).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    ensemble.between(leader, follower).heal();
    expect(await next.tryAcquire(soon())).toBe(token);
  });
});
