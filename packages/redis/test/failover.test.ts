import { createLocks, type LeaseClaim, LockBackendError } from "@dlock/core";
import { startRedisSentinel } from "@dlock/testbed";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

const redis = await startRedisSentinel();
afterAll(() => redis.stop());
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  redis.replication.heal();
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

/** The replica has all that the primary has. */
const caughtUp = () => until(async () => (await redis.primary.client.wait(1, 1_000)) === 1, 10_000);

describe("a hold that replicas have to acknowledge", () => {
  beforeEach(caughtUp);

  test("costs three commands: the acquire, the WAIT and the release", async () => {
    const locks = await createLocks(open(redis.url, { replicas: 1 }).provider);
    await locks.withLock(name(), async () => {});
    const counts = await redis.primary.countCommands(() => locks.withLock(name(), async () => {}));
    const { evalsha, wait } = counts;
    expect({ evalsha, wait }).toEqual({ evalsha: 2, wait: 1 });
  });

  test("shares the WAIT with whoever asks at the same time", async () => {
    const { claim, provider } = open(redis.url, { replicas: 1 });
    await provider.connect();
    await win(claim(name()));
    const claims = Array.from({ length: 20 }, () => claim(name()));
    const counts = await redis.primary.countCommands(() => Promise.all(claims.map((one) => win(one))));
    expect(counts["evalsha"]).toBe(20);
    expect(counts["wait"]).toBeLessThanOrEqual(2);
  });

  for (const flushed of [false, true]) {
    test(`is undone and reported when they do not${flushed ? ", also when the script had to be sent again" : ""}`, async () => {
      const { claim } = open(redis.url, { replicas: 1, replicaTimeout: 100 });
      const key = name();
      await win(claim(name()));
      redis.replication.freeze();
      if (flushed) await redis.primary.client.script("FLUSH");
      const attempt = claim(key);
      await expect(attempt.tryAcquire(soon())).rejects.toThrow(LockBackendError);
      expect(await redis.primary.client.get(`dlock:${key}`)).toBeNull();
      redis.replication.heal();
      await caughtUp();
      expect(await attempt.tryAcquire(soon())).toBeTypeOf("bigint");
    });
  }

  test("holds up no renewal and no release meanwhile", async () => {
    const { claim } = open(redis.url, { replicas: 1, replicaTimeout: 1_500 });
    const [held, other] = [claim(name()) as LeaseClaim, claim(name())];
    await win(held);
    await win(other);
    redis.replication.freeze();
    const attempt = claim(name()).tryAcquire(soon());
    const settled = attempt.catch(() => "undone");
    await sleep(50);
    expect(await took(held.renew(20_000))).toBeLessThan(200);
    expect(await took(other.release())).toBeLessThan(200);
    expect(await settled).toBe("undone");
  });

  test("is undone when it comes after its claim was given up", async () => {
    const { claim } = open(redis.url, { replicas: 1, replicaTimeout: 2_000 });
    await win(claim(name()));
    redis.replication.freeze();
    const [first, second] = [name(), name()];
    // The second one's request waits behind the first one's WAIT, and its release overtakes it.
    const early = claim(first, { join: false }).tryAcquire(soon(9_000));
    early.catch(() => {});
    await sleep(100);
    const late = claim(second, { join: false });
    const attempt = late.tryAcquire(soon(9_000));
    await sleep(100);
    await late.release();
    redis.replication.heal();
    expect(await attempt.catch(() => undefined)).toBeUndefined();
    await until(async () => (await redis.primary.client.exists(`dlock:${second}`)) === 0);
    await early.catch(() => {});
  });

  test("keeps its place in line when it is undone", async () => {
    const peers = [1, 2, 3].map(() => open(redis.url, { replicas: 1, replicaTimeout: 100 }));
    const key = name();
    const claims = peers.map(({ claim }) => claim(key));
    const [first, second, third] = claims as [LeaseClaim, LeaseClaim, LeaseClaim];
    await win(first);
    expect(await second.tryAcquire(soon())).toBeUndefined();
    expect(await third.tryAcquire(soon())).toBeUndefined();
    redis.replication.freeze();
    await first.release();
    for (let round = 0; round < 3; round++) {
      await expect(second.tryAcquire(soon())).rejects.toThrow("replicas");
      const { waiters } = await peers[0]!.provider.inspect(key); // there are three
      expect(waiters).toHaveLength(2);
    }
    redis.replication.heal();
    await caughtUp();
    await win(second);
    expect(await third.tryAcquire(soon())).toBeUndefined();
    await second.release();
    await win(third);
  });
});

describe("a promotion by Sentinel", () => {
  afterEach(async () => {
    await redis.rejoin();
    await caughtUp();
  }, 60_000);

  test(
    "may forget a hold: two holders, of which the resource refuses the older one by its token",
    { timeout: 60_000 },
    async () => {
      const key = name();
      const [here, there] = [await createLocks(open(redis.url).provider), await createLocks(open(redis.url).provider)];
      redis.replication.freeze();
      const older = await here.acquire(key, { ttl: 30_000 });
      await redis.promote("kill");
      const newer = await there.acquire(key, { ttl: 30_000 });
      // Both believe to hold it.
      older.throwIfLost();
      newer.throwIfLost();
      expect(newer.fencingToken).toBeGreaterThan(older.fencingToken);
      let largest = 0n;
      const write = (token: bigint) => token >= largest && ((largest = token), true);
      expect(write(newer.fencingToken)).toBe(true);
      expect(write(older.fencingToken)).toBe(false);
      // The first renewal that gets through tells.
      await until(
        () =>
          older.extend().then(
            () => false,
            () => older.signal.aborted,
          ),
        10_000,
      );
      newer.throwIfLost();
      expect(await older.release()).toBe(false);
      expect(await newer.release()).toBe(true);
    },
  );

  test(
    "keeps a hold that the replica acknowledged, and serves who waited in the old order",
    { timeout: 60_000 },
    async () => {
      const key = name();
      const holder = open(redis.url, { replicas: 1 }).claim(key) as LeaseClaim;
      const token = await win(holder);
      const claims = [1, 2, 3].map(() => open(redis.url).claim(key));
      const served: number[] = [];
      const all: Promise<unknown>[] = [];
      for (const [place, claim] of claims.entries()) {
        expect(await claim.tryAcquire(soon())).toBeUndefined();
        const serve = async () => {
          const own = await patiently(claim);
          expect(own).toBeGreaterThan(token);
          served.push(place);
          await claim.release();
        };
        all.push(serve());
      }
      await caughtUp();
      await redis.promote("kill");
      await until(() => holder.renew(20_000).catch(() => false), 10_000);
      // Whoever is not back yet would be passed over.
      await until(
        async () => ((await redis.primary.client.pubsub("CHANNELS", "dlock2.*")) as string[]).length === 3,
        10_000,
      );
      await holder.release();
      await Promise.all(all);
      expect(served).toEqual([0, 1, 2]);
    },
  );

  /** As core does: what passes is ridden out. */
  async function patiently(claim: LeaseClaim | ReturnType<ReturnType<typeof open>["claim"]>): Promise<bigint> {
    for (;;) {
      try {
        return await win(claim);
      } catch (error) {
        if (!(error instanceof LockBackendError) || !error.retryable) throw error;
        await sleep(50);
      }
    }
  }
});
