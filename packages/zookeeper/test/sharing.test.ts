import { setMaxListeners } from "node:events";
import { LockConfigError } from "@dlock/core";
import { isSelected, startZooKeeper } from "@dlock/testbed";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

describe.runIf(isSelected("zookeeper"))("readers and permits", async () => {
  const zookeeper = await startZooKeeper();
  const { tree } = zookeeper;
  afterAll(() => zookeeper.stop());
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  const open = opener((close) => closing.push(close));
  const shared = { mode: "shared" } as const;
  const nodesOf = async (key: string) => (await tree.paths()).filter((path) => path.startsWith(`/${key}/`));
  const refused = expect.objectContaining({ code: "LOCK_CONFIG", message: expect.stringContaining("3") });

  test("a downgrade whose answer was lost is done once, and the hold goes on under its new name", async () => {
    const way = await zookeeper.link();
    closing.push(() => way.close());
    const { claim } = open(way.url);
    const { claim: other } = open(zookeeper.url);
    const key = name();
    const mine = claim(key);
    const token = await win(mine);
    const writer = other(key);
    expect(await writer.tryAcquire(soon())).toBeUndefined();
    way.dropReplies();
    const downgraded = mine.downgrade?.();
    await until(async () => (await nodesOf(key)).some((path) => path.includes("__READ__")));
    way.heal();
    // These find its node by another name than they began with.
    const during = Promise.all([mine.renew(20_000), mine.tryAcquire(soon())]);
    expect(await downgraded).toBe(true);
    expect(await during).toEqual([true, token]);
    expect((await nodesOf(key)).filter((path) => path.includes("__READ__"))).toHaveLength(1);
    expect(await writer.tryAcquire(soon())).toBeUndefined();
    await sleep(1_000);
    expect(mine.lost.aborted).toBe(false);
    const floor = token + 10n ** 9n;
    expect(await mine.raise(floor)).toBe(true);
    await mine.release();
    expect(await win(writer)).toBeGreaterThan(floor);
  });

  test("a downgrade goes together with everything else that the claim is asked for at the same time", async () => {
    const { claim } = open(zookeeper.url);
    for (let round = 0; round < 50; round++) {
      const mine = claim(name());
      const token = await win(mine);
      const asked = [
        () => mine.renew(20_000),
        async () => (await mine.tryAcquire(soon())) === token,
        () => mine.downgrade?.(),
        () => mine.renew(20_000),
        async () => (await mine.tryAcquire(soon())) === token,
        () => mine.downgrade?.(),
      ];
      const answers = asked.map(async (ask, place) => {
        for (let ticks = (place * round) % 7; ticks > 0; ticks--) await Promise.resolve();
        return ask();
      });
      expect(await Promise.all(answers)).toEqual(asked.map(() => true));
      const last = mine.downgrade?.();
      await mine.release();
      await last;
    }
    expect((await tree.paths()).filter((path) => path.includes("/_c_"))).toEqual([]);
  });

  test("a hold that somebody ended by force is not downgraded, and one that was downgraded is told of such an end", async () => {
    const { claim, provider } = open(zookeeper.url);
    const key = name();
    const [ended, mine] = [claim(key), claim(key)];
    await win(ended);
    await provider.forceRelease(key);
    expect(await ended.downgrade?.()).toBe(false);
    await win(mine);
    expect(await mine.downgrade?.()).toBe(true);
    expect(await provider.forceRelease(key)).toBe(true);
    await until(() => mine.lost.aborted);
  });

  test("a downgraded hold keeps its place when the server's numbers are used up", async () => {
    const { claim, provider } = open(zookeeper.url);
    const key = name();
    await tree.create(`/${key}`);
    const mine = claim(key, { owner: "ours" });
    const token = await win(mine);
    // Of the same number: then the age of the nodes decides.
    const number = (await nodesOf(key))[0]?.slice(-10);
    await tree.create(`/${key}/_c_0-lock-${number}`, "younger");
    expect(await mine.downgrade?.()).toBe(true);
    const { holders, waiters } = await provider.inspect(key);
    expect(holders).toEqual([{ owner: "ours", mode: "shared", fencingToken: token }]);
    expect(waiters).toEqual([{ owner: "younger", mode: "exclusive" }]);
  });

  test.each([5, 200])("a permit that is given back wakes one of %i waiters", async (size) => {
    const { claim } = open(zookeeper.url, { sessionTimeout: 30_000 });
    const key = name();
    const limit = 3;
    const running = Array.from({ length: limit }, () => claim(key, { limit }));
    for (const holder of running) await win(holder);
    const line = Array.from({ length: size }, () => claim(key, { limit }));
    for (const waiter of line) expect(await waiter.tryAcquire(soon())).toBeUndefined();
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    closing.push(async () => over.abort());
    let woken = 0;
    const served = line.map(async (waiter) => {
      while (!over.signal.aborted) {
        await waiter.waitTurn(over.signal);
        woken += 1;
        // Those who are still waiting in the end are woken by that.
        if ((await waiter.tryAcquire(soon()).catch(() => {})) !== undefined) return waiter;
      }
      return undefined;
    });
    for (let round = 0; round < 4; round++) {
      await running.splice(round % limit, 1)[0]?.release();
      const next = await served[round];
      if (next) running.push(next);
      await sleep(50);
      // It, and who is the first of those who wait after it.
      expect(woken).toBeLessThanOrEqual(3 * (round + 1));
    }
  });

  test("who learns too late that the one before it has entered is woken all the same", async () => {
    const way = await zookeeper.link();
    closing.push(() => way.close());
    const { claim } = open(zookeeper.url);
    const slow = open(way.url);
    await slow.provider.connect();
    const key = name();
    const limit = 2;
    const [first, second, waiter] = [claim(key, { limit }), claim(key, { limit }), claim(key, { limit })];
    for (const holder of [first, second]) await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    way.delay(150);
    const late = slow.claim(key, { limit });
    const attempt = late.tryAcquire(soon());
    await until(async () => (await nodesOf(key)).length === 4);
    // Before it has set its watch.
    await first.release();
    await win(waiter);
    expect(await attempt).toBeUndefined();
    const told = took(late.waitTurn(AbortSignal.timeout(3_000)));
    await second.release();
    expect(await told).toBeLessThan(2_000);
    await win(late, 3_000);
  });

  test("who asks for another limit leaves no trace, and refuses nobody else", async () => {
    const { claim, provider } = open(zookeeper.url);
    const key = name();
    const limit = 3;
    const holder = claim(key, { limit });
    await win(holder);
    // As one that has not found out yet.
    const odd = "_c_0-limit-4-lock-0000000001";
    await tree.create(`/${key}/${odd}`, "odd");
    const next = claim(key, { limit });
    expect(await next.tryAcquire(soon())).toBeUndefined();
    await expect(claim(key, { limit: 4 }).tryAcquire(soon())).rejects.toEqual(refused);
    await expect(claim(key, { limit: 1 }).tryAcquire(soon())).rejects.toBeInstanceOf(LockConfigError);
    await expect(claim(key, shared).tryAcquire(soon())).rejects.toEqual(refused);
    expect((await provider.inspect(key)).holders).toHaveLength(1);
    const woken = next.waitTurn(AbortSignal.timeout(5_000));
    await tree.remove(`/${key}/${odd}`);
    await woken;
    await win(next);
    expect(await nodesOf(key)).toHaveLength(2);
  });

  test("those without a line are not let in beside readers, nor beside permits", async () => {
    const { claim } = open(zookeeper.url);
    const { claim: sole } = open(zookeeper.url, { order: "none" });
    const [read, limited] = [name(), name()];
    const reader = claim(read, shared);
    await win(reader);
    await win(claim(limited, { limit: 2 }));
    const mine = sole(read);
    expect(await mine.tryAcquire(soon())).toBeUndefined();
    await expect(sole(limited).tryAcquire(soon())).rejects.toBeInstanceOf(LockConfigError);
    for (const terms of [shared, { limit: 2 }]) expect(() => sole(name(), terms)).toThrow(LockConfigError);
    await reader.release();
    await win(mine);
    expect(await claim(read, { ...shared, join: false }).tryAcquire(soon())).toBeUndefined();
  });
});
