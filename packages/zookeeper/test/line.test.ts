import { isSelected, startZooKeeper } from "@dlock/testbed";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { reaping } from "./harness.js";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

describe.runIf(isSelected("zookeeper"))("the line", async () => {
  const zookeeper = await startZooKeeper();
  const { tree } = zookeeper;
  afterAll(() => zookeeper.stop());
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  const open = opener((close) => closing.push(close));
  test.each(["fifo", "none"] as const)(
    "a free lock costs one round trip to acquire and one to release, order: %s",
    async (order) => {
      // A parent that is reaped meanwhile has to be made anew.
      const calm = await startZooKeeper(reaping);
      closing.push(() => calm.stop());
      const way = await calm.link();
      const { claim } = open(way.url, { sessionTimeout: 30_000, order });
      const key = name();
      const [first, second] = [claim(key), claim(key)];
      await win(first);
      await first.release();
      way.delay(300);
      const [acquired, released] = [await took(win(second)), await took(second.release())];
      // Two round trips would take 1 200 ms.
      for (const time of [acquired, released]) {
        expect(time).toBeGreaterThan(595);
        expect(time).toBeLessThan(1_150);
      }
    },
  );

  test.each([10, 500])("a release wakes one of %i waiters", async (size) => {
    const providers = Array.from({ length: 5 }, () => open(zookeeper.url, { sessionTimeout: 30_000 }));
    const key = name();
    const holder = providers[0]?.claim(key);
    if (holder === undefined) throw new Error("unreachable");
    await win(holder);
    const waiters = Array.from({ length: size }, (_, n) => providers[n % 5]?.claim(key)).filter(
      (one) => one !== undefined,
    );
    for (const waiter of waiters) expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect([...(await zookeeper.watches()).values()]).toHaveLength(size);
    let line = [holder, ...waiters];
    for (let served = 0; served < 8; served++) {
      const [first, next, ...others] = line;
      const counted = await zookeeper.count(async () => {
        await first?.release();
        await win(next ?? holder);
      });
      expect(counted["sum_node_deleted_watch_count"]).toBe(1);
      expect(Object.keys(counted).filter((counter) => /^sum_.*watch_count$/.test(counter))).toEqual([
        "sum_node_deleted_watch_count",
      ]);
      line = next ? [next, ...others] : [];
    }
  });

  test("nothing stays in the tree but the offset, and the chroot that was asked for", async () => {
    for (const order of ["fifo", "none"] as const) {
      const { claim } = open(`${zookeeper.url}/residue/here`, { order });
      const keys = Array.from({ length: 5 }, name);
      const once = async (key: string) => {
        const mine = claim(key);
        await win(mine);
        await mine.release();
        const passer = claim(key, { join: false });
        if ((await passer.tryAcquire(soon())) !== undefined) await passer.release();
      };
      await Promise.all(keys.flatMap((key) => [once(key), once(key), once(key)]));
      await Promise.all(closing.splice(0).map((close) => close()));
      const left = async () => (await tree.paths("/residue")).toSorted();
      await until(async () => (await left()).length <= 2).catch(() => {});
      expect(await left()).toEqual(["/residue/here", "/residue/here/%offset"]);
    }
  });

  test("a lock whose node was taken away, as it was empty, begins anew with larger tokens", async () => {
    const { claim } = open(zookeeper.url);
    const key = name();
    const tokens: bigint[] = [];
    for (let round = 0; round < 3; round++) {
      const mine = claim(key);
      tokens.push(await win(mine));
      await mine.release();
      await until(async () => !(await tree.paths()).includes(`/${key}`));
    }
    expect(tokens).toEqual(tokens.toSorted((one, other) => (one < other ? -1 : 1)));
  });

  test("who came first goes first also when the server's numbers are used up", async () => {
    const { claim, provider } = open(zookeeper.url);
    // The last one is that of the node that comes next.
    for (const used of ["0-lock-2147483647", "0-lock--2147483648", "0-lock--000000001", "z-lock-0000000001"]) {
      const key = name();
      const older = `_c_${used}`;
      await tree.create(`/${key}/${older}`, "older");
      const mine = claim(key, { owner: "ours" });
      expect(await mine.tryAcquire(soon())).toBeUndefined();
      await tree.create(`/${key}/_c_0-lock--2147483647`, "younger");
      const { holders, waiters } = await provider.inspect(key);
      expect([...holders, ...waiters].map(({ owner }) => owner).slice(0, 2), used).toEqual(["older", "ours"]);
      await tree.remove(`/${key}/${older}`);
      await win(mine, 2_000);
    }
  });

  test("both orders exclude each other", async () => {
    const key = name();
    let [inside, served] = [0, 0];
    const contend = async (order: "fifo" | "none") => {
      const { claim } = open(zookeeper.url, { order, sessionTimeout: 30_000 });
      for (let round = 0; round < 10; round++) {
        const mine = claim(key);
        await win(mine);
        expect(++inside).toBe(1);
        await sleep(1);
        inside--;
        served++;
        await mine.release();
      }
    };
    await Promise.all([contend("fifo"), contend("none"), contend("fifo"), contend("none")]);
    expect(served).toBe(40);
  });

  test("who is first without being asked keeps the lock from others and takes it when asked", async () => {
    const { claim } = open(zookeeper.url);
    const key = name();
    const [holder, first, second] = [claim(key), claim(key), claim(key)];
    await win(holder);
    await first.tryAcquire(soon());
    await second.tryAcquire(soon());
    await holder.release();
    expect(await second.tryAcquire(soon())).toBeUndefined();
    expect(first.certainUntil()).toBe(Number.NEGATIVE_INFINITY);
    await win(first);
    expect(first.certainUntil()).toBeGreaterThan(performance.now());
  });

  test("a waiter's token exceeds what the holder raised meanwhile", async () => {
    const { claim } = open(`${zookeeper.url}/raised`);
    const key = name();
    const [holder, waiter] = [claim(key), claim(key)];
    const token = await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(await holder.raise(2n ** 60n)).toBe(true);
    expect(await holder.tryAcquire(soon())).toBe(token);
    await holder.release();
    expect(await win(waiter)).toBeGreaterThan(2n ** 60n);
  });
});
