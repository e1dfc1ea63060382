import { createLocks, type LockEvents } from "@dlock/core";
import { isSelected, startZooKeeper } from "@dlock/testbed";
import { zookeeperProvider } from "@dlock/zookeeper";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

describe.runIf(isSelected("zookeeper"))("when things break", async () => {
  const zookeeper = await startZooKeeper();
  const { tree } = zookeeper;
  afterAll(() => zookeeper.stop());
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  const open = opener((close) => closing.push(close));
  const link = async () => {
    const made = await zookeeper.link();
    closing.push(() => made.close());
    return made;
  };
  const nodesOf = async (key: string) => (await tree.paths()).filter((path) => path.startsWith(`/${key}/`));

  describe.each(["fifo", "none"] as const)("order: %s", (order) => {
    test("a node whose answer was lost is found again: there is one, and one token", async () => {
      const way = await link();
      const { claim, provider } = open(way.url, { order });
      await provider.connect();
      const key = name();
      const before = claim(key);
      await win(before);
      await before.release();
      const mine = claim(key);
      way.dropReplies();
      const attempt = mine.tryAcquire(soon(20_000));
      await until(async () => (await nodesOf(key)).length === 1);
      way.heal();
      const token = await attempt;
      expect(token).toBeGreaterThan(0n);
      expect(await nodesOf(key)).toHaveLength(1);
      expect((await provider.inspect(key)).holders).toMatchObject([{ fencingToken: token }]);
      await mine.release();
      expect(await nodesOf(key)).toEqual([]);
    });

    test("a node whose answer was lost is removed when nobody asked again", async () => {
      const way = await link();
      const { claim, provider } = open(way.url, { order });
      await provider.connect();
      const key = name();
      const before = claim(key);
      await win(before);
      await before.release();
      way.dropReplies();
      await expect(claim(key).tryAcquire(soon(300))).rejects.toMatchObject({ retryable: true, noEffect: false });
      await until(async () => (await nodesOf(key)).length === 1);
      way.heal();
      await until(async () => (await nodesOf(key)).length === 0);
      await win(claim(key));
    });

    test("a release whose answer was lost is repeated until it is certain, and frees nobody else's lock", async () => {
      const way = await link();
      const { claim } = open(way.url, { order });
      const { claim: other } = open(zookeeper.url, { order });
      const key = name();
      const mine = claim(key);
      await win(mine);
      way.dropReplies();
      const released = mine.release();
      const next = other(key);
      const token = await win(next);
      way.heal();
      await released;
      expect(await next.tryAcquire(soon())).toBe(token);
      expect(await nodesOf(key)).toHaveLength(1);
    });

    test("a frame that is cut off in the middle costs a connection and nothing else", async () => {
      const way = await link();
      const { claim, notices } = open(way.url, { order });
      const { claim: other } = open(zookeeper.url, { order });
      const key = name();
      const holder = other(key);
      await win(holder);
      for (let round = 0; round < 5; round++) {
        const mine = claim(name());
        way.truncate();
        await win(mine);
        await mine.release();
      }
      const waiter = claim(key);
      const served = win(waiter);
      await until(async () => (await zookeeper.watches()).size > 0);
      way.truncate();
      await holder.release();
      await served;
      expect(notices.map(({ code }) => code)).not.toContain("SESSION_LOST");
      expect(notices.map(({ code }) => code)).toContain("RECONNECTED");
    });

    test("a forced release tells the holder at once, and its own release leaves the successor alone", async () => {
      const { claim, provider } = open(zookeeper.url, { order });
      const key = name();
      const [mine, next] = [claim(key), claim(key)];
      await win(mine);
      const served = win(next);
      await until(async () => (await zookeeper.watches()).size > 0);
      expect(await provider.forceRelease(key)).toBe(true);
      const token = await served;
      await until(() => mine.lost.aborted, 2_000);
      expect(await mine.renew(4_000)).toBe(false);
      expect(await mine.raise(1n)).toBe(false);
      await mine.release();
      expect(await next.tryAcquire(soon())).toBe(token);
    });
  });

  for (const mode of ["exclusive", "shared"] as const) {
    test(`a forced release of a ${mode} hold whose answer is cut is sent once, and the next in line keeps what it gets`, async () => {
      const link = await zookeeper.link();
      closing.push(() => link.close());
      const [ours, others] = [open(link.url), open(zookeeper.url)];
      const key = name();
      await win(others.claim(key, { mode }));
      const next = others.claim(key);
      const served = win(next);
      await until(async () => (await zookeeper.watches()).size > 0);
      const deletion = Buffer.from([0, 0, 0, 2, 0, 0, 0]).toString("latin1");
      const done = link.cutAnswer(new RegExp(`${deletion}.\\/.*lock-`, "s"));
      await expect(ours.provider.forceRelease(key)).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
      await done;
      const token = await served;
      await sleep(1_000);
      expect(next.lost.aborted).toBe(false);
      expect(await next.tryAcquire(soon())).toBe(token);
    });
  }

  test("who releases by force what another has ended meanwhile ends nothing: the next one holds by then", async () => {
    const link = await zookeeper.link();
    closing.push(() => link.close());
    const [slow, others] = [open(link.url, { sessionTimeout: 20_000 }), open(zookeeper.url)];
    await slow.provider.connect();
    const key = name();
    await win(others.claim(key));
    const next = others.claim(key);
    const served = win(next);
    await until(async () => (await zookeeper.watches()).size > 0);
    link.delay(400, "replies");
    const late = slow.provider.forceRelease(key);
    await sleep(150);
    expect(await others.provider.forceRelease(key)).toBe(true);
    const token = await served;
    expect(await late).toBe(false);
    await sleep(100);
    expect(next.lost.aborted).toBe(false);
    expect(await next.tryAcquire(soon())).toBe(token);
  });

  test("a server that restarts within the session's time costs no hold and no place in line", async () => {
    const { provider, claim, notices } = open(zookeeper.url, { sessionTimeout: 20_000 });
    const locks = await createLocks(provider);
    const key = name();
    const lock = await locks.acquire(key);
    const waiter = claim(key);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    await zookeeper.server.restart({ keepData: true });
    await until(() => notices.some(({ code }) => code === "RECONNECTED"));
    await sleep(2_000);
    lock.throwIfLost();
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(await lock.release()).toBe(true);
    expect(await win(waiter)).toBeGreaterThan(lock.fencingToken);
  });

  test("a server that is away for longer than that tells its holder in time, and serves a new claim when it is back", async () => {
    const { provider } = open(zookeeper.url, { sessionTimeout: 2_000 });
    const lost: LockEvents["lost"][] = [];
    const locks = await createLocks(provider, { on: { lost: (event) => void lost.push(event) } });
    const key = name();
    const lock = await locks.acquire(key);
    const since = performance.now();
    await zookeeper.server.kill();
    await until(() => lock.signal.aborted, 4_000);
    expect(performance.now() - since).toBeLessThan(2_100);
    expect(() => lock.throwIfLost()).toThrow(expect.objectContaining({ code: "LOCK_LOST" }));
    expect(await lock.release()).toBe(false);
    await sleep(4_000);
    await zookeeper.server.restart({ keepData: true });
    const next = await locks.acquire(key, { waitTimeout: 15_000 });
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(lost).toHaveLength(1);
    await next.release();
    await locks.close();
  });

  test("a try right after the process stood still for too long is made in a new session", async () => {
    const { provider, claim, notices } = open(zookeeper.url, { sessionTimeout: 1_000 });
    const key = name();
    const before = claim(key);
    await win(before);
    await before.release();
    const locks = await createLocks(provider);
    for (const end = performance.now() + 1_500; performance.now() < end;);
    const lock = await locks.tryAcquire(key);
    lock?.throwIfLost();
    expect(lock).toBeDefined();
    expect(notices.map(({ code }) => code)).toContain("SESSION_LOST");
    expect(await lock?.release()).toBe(true);
  });

  test("a connection that breaks at the very moment of a call does not keep the process busy with itself", async () => {
    const way = await link();
    const { claim } = open(way.url);
    const key = name();
    const attempts: Promise<unknown>[] = [];
    for (let round = 0; round < 10; round++) {
      const [before, wanted] = [claim(name()), Array.from({ length: 20 }, () => claim(key))];
      await win(before);
      way.cut();
      way.heal();
      for (const one of wanted) {
        await new Promise(setImmediate);
        attempts.push(one.tryAcquire(soon(10_000)).then(() => one.release()));
      }
    }
    await Promise.all(attempts);
    expect(await nodesOf(key)).toEqual([]);
  });

  test("tells once that a ttl was raised, when it is connected again, and when its session is over", async () => {
    const way = await link();
    const { claim, notices } = open(way.url, { sessionTimeout: 1_000 });
    const codes = () => notices.map(({ code }) => code);
    const key = name();
    for (const ttl of [500, 500, 1_000]) {
      const mine = claim(key, { ttl });
      await win(mine);
      expect(mine.ttl).toBe(1_000);
      await mine.release();
    }
    expect(notices).toMatchObject([{ code: "TTL_RAISED", key }]);
    way.cut();
    way.heal();
    await until(() => codes().includes("RECONNECTED"));
    way.cut();
    await sleep(1_500);
    way.heal();
    await until(() => codes().includes("SESSION_LOST"));
    await win(claim(key));
  });

  test("who waits is told by the end of backendTimeout that no server is there any more, however long a session lasts", async () => {
    const way = await link();
    const key = name();
    const { claim } = open(zookeeper.url, { sessionTimeout: 30_000 });
    const holder = claim(key);
    await win(holder);
    const locks = await createLocks(open(way.url, { sessionTimeout: 30_000 }).provider, { backendTimeout: 1_000 });
    const waiting = locks.acquire(key);
    await until(async () => (await zookeeper.watches()).size > 0);
    const ended = took(expect(waiting).rejects.toMatchObject({ code: "LOCK_BACKEND" }));
    way.cut();
    expect(await ended).toBeLessThan(3_000);
    await holder.release();
  });

  test("order: none keeps and gives up its node, whoever wrote into it", async () => {
    const { claim } = open(zookeeper.url, { order: "none" });
    const key = name();
    const mine = claim(key);
    const token = await win(mine);
    await tree.setData(`/${key}/lock-`, "__REVOKE__");
    await sleep(200);
    expect(mine.lost.aborted).toBe(false);
    expect(await mine.tryAcquire(soon())).toBe(token);
    await mine.release();
    expect(await nodesOf(key)).toEqual([]);
  });

  test("with acl: creator nobody else touches the nodes, and who may not is told so at once", async () => {
    const url = zookeeper.url.replace("//", "//user:secret@");
    const { claim } = open(`${url}/mine`, { acl: "creator" });
    const key = name();
    await win(claim(key));
    const { claim: same, provider } = open(`${url}/mine`, { acl: "creator" });
    expect(await same(key).tryAcquire(soon())).toBeUndefined();
    const { claim: stranger, provider: without } = open(`${zookeeper.url}/mine`);
    const refused = { code: "LOCK_BACKEND", retryable: false, message: expect.stringContaining("NO_AUTH") };
    await expect(stranger(key).tryAcquire(soon())).rejects.toMatchObject(refused);
    await expect(without.forceRelease(key)).rejects.toMatchObject(refused);
    expect(await provider.forceRelease(key)).toBe(true);
    const { claim: below } = open(`${zookeeper.url}/mine/below`);
    await expect(below(key).tryAcquire(soon())).rejects.toMatchObject(refused);
  });

  test("an offset that is not ours is an error that does not pass", async () => {
    await tree.create("/odd/%offset", "twelve");
    const refused = { code: "LOCK_BACKEND", retryable: false, message: expect.stringContaining("/odd/%offset") };
    const { claim } = open(`${zookeeper.url}/odd`);
    const mine = claim("a");
    await expect(mine.tryAcquire(soon())).rejects.toMatchObject(refused);
    await mine.release();
    expect((await tree.paths("/odd")).filter((path) => path.includes("lock-"))).toEqual([]);
  });

  test("nothing works after close, which also ends what is being opened", async () => {
    const { claim, provider } = open(zookeeper.url);
    const key = name();
    const attempt = claim(key).tryAcquire(soon());
    await Promise.all([provider.close(), attempt.catch(() => {})]);
    await expect(claim(name()).tryAcquire(soon())).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: false });
    await zookeeperProvider({ url: zookeeper.url }).close();
    expect(await nodesOf(key)).toEqual([]);
  });
});
