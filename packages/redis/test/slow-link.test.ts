import { createLocks, type Locks } from "@dlock/core";
import { migrate } from "@dlock/core/combinators";
import { redisProvider, redisQuorum } from "@dlock/redis";
import { type RedisLink, startRedis } from "@dlock/testbed";
import { afterAll, describe, expect, test, type TestContext } from "vitest";
import { name, sleep } from "./side.js";

const servers = await Promise.all([startRedis(), startRedis(), startRedis()]);
afterAll(() => Promise.all(servers.map((server) => server.stop())));

/** ms that a question and its answer take: more than a third of the ttl. */
const roundTrip = 360;
const ttl = 1_000;

type OnFinished = TestContext["onTestFinished"];

async function linksTo(count: number, onTestFinished: OnFinished): Promise<readonly RedisLink[]> {
  const links = await Promise.all(servers.slice(0, count).map((server) => server.link()));
  onTestFinished(async () => void (await Promise.all(links.map((link) => link.close()))));
  return links;
}

const one = async (onTestFinished: OnFinished) => {
  const links = await linksTo(1, onTestFinished);
  return { links, provider: redisProvider({ url: links[0]!.url }) };
};
const several = async (onTestFinished: OnFinished) => {
  const links = await linksTo(3, onTestFinished);
  const hosts = links.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return { links, provider: redisQuorum({ url: `redis+quorum://${hosts}` }) };
};
const two = async (onTestFinished: OnFinished) => {
  const links = await linksTo(2, onTestFinished);
  const [from, to] = links.map(({ url }) => redisProvider({ url }));
  const close = async () => void (await Promise.all([from!.close(), to!.close()]));
  return { links, provider: { ...migrate({ from: from!, to: to!, names: { from: "a", to: "b" } }), close } };
};
const setUps = { "one server": one, "a quorum": several, "a migration": two };

describe.each(Object.keys(setUps) as (keyof typeof setUps)[])("over a slow link to %s", (setUp) => {
  async function slow(
    onTestFinished: OnFinished,
  ): Promise<{ readonly locks: Locks; readonly delay: (ms: number) => void }> {
    const { links, provider } = await setUps[setUp](onTestFinished);
    const locks = await createLocks(provider);
    onTestFinished(async () => {
      for (const link of links) link.heal();
      await locks.close();
      await provider.close?.();
    });
    return { locks, delay: (ms) => links.forEach((link) => link.delay(ms / 2)) };
  }

  test.concurrent("a hold lives on, although no answer comes within a third of its ttl", async ({ onTestFinished }) => {
    const { locks, delay } = await slow(onTestFinished);
    const told: string[] = [];
    for (const event of ["renewed", "renewFailed", "lost"] as const) locks.on(event, () => told.push(event));
    await locks.withLock(name(), async () => {});
    const key = name();
    const lock = await locks.acquire(key, { ttl });
    delay(roundTrip);
    await sleep(5_000);
    lock.throwIfLost();
    expect(told.filter((event) => event === "renewed").length).toBeGreaterThan(8);
    expect(told).toContain("renewFailed");
    expect(told).not.toContain("lost");
    delay(0);
    expect(await lock.release()).toBe(true);
  });

  for (const call of ["tryAcquire", "acquire"] as const) {
    test.concurrent(`the first lock, for which the connection is made, has most of its ttl left: ${call}`, async ({
      onTestFinished,
    }) => {
      const { locks, delay } = await slow(onTestFinished);
      delay(150);
      const lock = await locks[call](name(), { ttl });
      expect(lock).toBeDefined();
      lock!.throwIfLost(ttl / 2);
      await sleep(2 * ttl);
      lock!.throwIfLost();
      expect(await lock!.release()).toBe(true);
    });
  }
});

test("extend counts, although its answer comes after its limit", async ({ onTestFinished }) => {
  const { links, provider } = await one(onTestFinished);
  const locks = await createLocks(provider);
  const lock = await locks.acquire(name(), { ttl, autoRenew: false });
  links[0]!.delay(roundTrip / 2);
  await expect(lock.extend(5_000)).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  await sleep(200);
  lock.throwIfLost(4_000);
  expect(lock.ttl).toBe(5_000);
  links[0]!.heal();
  expect(await lock.release()).toBe(true);
  await locks.close();
  await provider.close();
});

test.each([
  [180, 180],
  [60, 300],
  [300, 60],
])(
  "a shorter ttl costs no hold, also where the server's clock is only known through the slow link: %i and %i ms",
  async (there, back) => {
    const link = await servers[0]!.link();
    link.delay(there, "requests");
    link.delay(back, "replies");
    const provider = redisProvider({ url: link.url });
    const locks = await createLocks(provider);
    const lock = await locks.acquire(name(), { ttl: 3 * ttl });
    await lock.extend(ttl).catch(() => {});
    await sleep(2 * ttl);
    lock.throwIfLost();
    link.heal();
    expect(await lock.release()).toBe(true);
    await locks.close();
    await provider.close();
    await link.close();
  },
);

test("a lock is left for as long as was asked for, also if a longer lease was asked for in vain", async ({
  onTestFinished,
}) => {
  const { links, provider } = await one(onTestFinished);
  const locks = await createLocks(provider);
  await locks.withLock(name(), { ttl: 60 }, () => sleep(50));
  const key = name();
  const lock = await locks.acquire(key, { ttl, autoRenew: false });
  const cut = links[0]!.cutAnswer(/evalsha/i);
  await expect(lock.extend(20 * ttl)).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  await cut;
  expect(await servers[0]!.client.pttl(`dlock:${key}`)).toBeGreaterThan(18 * ttl);
  expect(await lock.expireIn(2 * ttl)).toBe(true);
  expect(await servers[0]!.client.pttl(`dlock:${key}`)).toBeLessThanOrEqual(2 * ttl);
  await locks.close();
  await provider.close();
});

test("a downgrade whose answer comes after its limit costs no hold", async ({ onTestFinished }) => {
  const { links, provider } = await one(onTestFinished);
  const locks = await createLocks(provider);
  const [key, others] = [name(), await createLocks(servers[0]!.url)];
  const lock = await locks.acquire(key, { ttl });
  links[0]!.delay(roundTrip / 2);
  await expect(lock.downgrade()).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  await sleep(3_000);
  lock.throwIfLost();
  const reader = await others.tryAcquire(key, { mode: "shared" });
  expect(reader).toBeDefined();
  await reader!.release();
  links[0]!.heal();
  expect(await lock.release()).toBe(true);
  await Promise.all([locks.close(), others.close()]);
  await provider.close();
});
