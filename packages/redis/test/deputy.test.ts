import { createLocks, type LeaseClaim } from "@dlock/core";
import { startRedis } from "@dlock/testbed";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

/** A message is a hint about a claim of the process that hears it. Whoever may do no more than publish has no other say. */
const redis = await startRedis();
const stranger = new Redis(redis.url.replace("//", "//stranger:secret@"), {
  lazyConnect: true,
  enableReadyCheck: false,
});
afterAll(async () => {
  stranger.disconnect();
  await redis.stop();
});
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

beforeAll(async () => {
  await redis.client.acl("SETUSER", "stranger", "reset", "on", ">secret", "&*", "-@all", "+publish");
  await stranger.connect();
});
beforeEach(() => redis.client.flushall());

/** A process that listens, since one of its claims waits; its channel, and that claim as it stands in line. */
async function deputy() {
  const key = name();
  const side = open(redis.url);
  await win(open(redis.url).claim(key));
  const waiter = side.claim(key);
  expect(await waiter.tryAcquire(soon())).toBeUndefined();
  const [queue = ""] = await redis.client.keys(`{*}?dlock:queue:2:dlock:${key}`);
  const [owner = ""] = await redis.client.zrange(queue, "0", "-1");
  const [channel = ""] = owner.split(":");
  await until(async () => (await redis.client.pubsub("NUMSUB", channel))[1] === 1);
  return { ...side, key, waiter, owner, channel };
}

/** Scripts that the server ran while something was done, and for a while after it. */
async function scripts(work: () => Promise<unknown>, rest = 300): Promise<number> {
  await sleep(50);
  const before = await scriptCount();
  await work();
  await sleep(rest);
  return (await scriptCount()) - before;
}

async function scriptCount(): Promise<number> {
  const calls = [...(await redis.client.info("commandstats")).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function flood(channel: string, count: number, messageOf: (index: number) => string): Promise<void> {
  for (let sent = 0; sent < count; sent += 1_000) {
    const many = Array.from({ length: Math.min(1_000, count - sent) }, (_, index) => messageOf(sent + index));
    await Promise.all(many.map((message) => stranger.publish(channel, message)));
  }
}

test("the stranger can do nothing but publish", async () => {
  await expect(stranger.get("dlock:x")).rejects.toThrow("NOPERM");
  await expect(stranger.subscribe("dlock2.x")).rejects.toThrow("NOPERM");
});

describe("a message does not end a hold", () => {
  const kinds = [
    { what: "alone", request: {} },
    { what: "alone, by a claim that joins no line", request: { join: false } },
    { what: "of a reader", request: { mode: "shared" } },
    { what: "of a permit", request: { limit: 2 } },
  ] as const;

  for (const { what, request } of kinds) {
    test(`${what}, by the names of another process and of the one that hears it`, async () => {
      const { channel, claim, key: waitedFor } = await deputy();
      const [mine, others] = [name(), name()];
      const holders = [claim(mine, request), open(redis.url).claim(others, request)];
      for (const holder of holders) await win(holder);
      const values = await valuesOf(mine, others);
      expect(values.owners.length).toBe(2);
      for (const [index, owner] of values.owners.entries()) {
        const keys = index === 0 ? [mine, others, waitedFor] : [others, mine, waitedFor];
        for (const key of keys) await stranger.publish(channel, `0 ${owner} dlock:${key}`);
      }
      await sleep(200);
      expect(await valuesOf(mine, others)).toEqual(values);
      for (const holder of holders) expect(await (holder as LeaseClaim).renew(20_000)).toBe(true);
    });
  }

  test("that was waited for and granted", async () => {
    const { channel, waiter, owner, key, provider } = await deputy();
    await provider.forceRelease(key);
    await win(waiter);
    for (const delay of [0, 1, 1_500]) await stranger.publish(channel, `${delay} ${owner} dlock:${key}`);
    await sleep(200);
    expect(await (waiter as LeaseClaim).renew(20_000)).toBe(true);
  });

  test("of tryAcquire, by names that are counted up", async () => {
    const { channel } = await deputy();
    const locks = await createLocks(redis.url, { owner: "me" });
    closing.push(() => locks.close());
    const key = name();
    const held = await locks.tryAcquire(key, { ttl: 20_000 });
    const [owner = ""] = ((await redis.client.get(`dlock:${key}`)) ?? "").split("|");
    const process = owner.split(":")[0];
    await flood(channel, 100, (index) => `0 ${process}:${index.toString(36)}:me dlock:${key}`);
    await stranger.publish(channel, `0 ${owner} dlock:${key}`);
    await sleep(200);
    held?.throwIfLost();
    expect(await redis.client.get(`dlock:${key}`)).toContain(`${owner}|`);
  });
});

/** Who holds, in any mode. */
async function valuesOf(...keys: string[]) {
  const owners: string[] = [];
  for (const key of keys) {
    const value = (await redis.client.get(`dlock:${key}`)) ?? "";
    if (value.startsWith("dlock2.|")) {
      const [holders = ""] = await redis.client.keys(`{*}?dlock:holders:2:dlock:${key}`);
      owners.push(...(await redis.client.zrange(holders, "0", "-1")));
    } else owners.push(value.split("|")[0] ?? "");
  }
  return { owners };
}

test("no name that others made up gets to the server: an application's key, another library's, another namespace's", async () => {
  const { channel, owner } = await deputy();
  const values = { account: "alice|1000", "other:lock": `${owner}|7`, "dlock:theirs": "uuid|1", balance: "bob|3|g" };
  for (const [key, value] of Object.entries(values)) await redis.client.set(key, value);
  const ran = await scripts(async () => {
    for (const [key, value] of Object.entries(values)) {
      const who = value.split("|")[0] ?? "";
      if (who !== owner) await stranger.publish(channel, `0 ${who} ${key}`);
    }
  });
  expect(ran).toBe(0);
  await stranger.publish(channel, `0 ${owner} other:lock`);
  await sleep(200);
  for (const [key, value] of Object.entries(values)) expect(await redis.client.get(key)).toBe(value);
});

test("a claim that gave up gives back its own lock, once, whatever key a message names", async () => {
  const { channel, waiter, owner, key } = await deputy();
  await redis.client.set("other:lock", `${owner}|7`);
  const [queue = ""] = await redis.client.keys(`{*}?dlock:queue:2:dlock:${key}`);
  await waiter.release();
  // As a request does that comes late.
  await redis.client.zadd(queue, 1, owner);
  const ran = await scripts(() => flood(channel, 100, () => `0 ${owner} other:lock`));
  expect(ran).toBe(1);
  expect(await redis.client.zcard(queue)).toBe(0);
  expect(await redis.client.get("other:lock")).toBe(`${owner}|7`);
});

test("a claim that gave up long ago answers nothing any more", async () => {
  const { channel, claim, waiter, owner, key } = await deputy();
  await waiter.release();
  for (let later = 0; later < 10; later++) {
    const claims = Array.from({ length: 100 }, () => claim(key));
    await Promise.all(claims.map((one) => one.tryAcquire(soon())));
    // The last in line first: nobody is told of anything.
    await Promise.all(claims.toReversed().map((one) => one.release()));
  }
  expect(await scripts(() => flood(channel, 100, () => `0 ${owner} dlock:${key}`))).toBe(0);
});

describe("junk costs little", () => {
  test("20 000 messages of all kinds run no script", async () => {
    const { channel, key, owner } = await deputy();
    const kinds = [
      (index: number) => `0 ${channel}:${index.toString(36)}:test dlock:${key}`,
      (index: number) => `0 ${crypto.randomUUID()} key-${index}`,
      (index: number) => `${index} ${owner}x dlock:${key}`,
      () => `0 ${owner}`,
      () => `-1 ${owner} dlock:${key}`,
      () => `99999999999 ${owner} dlock:${key}`,
      () => `0  ${owner} dlock:${key}`,
      () => "0 __proto__ constructor",
      () => "",
      () => "\0\0\0",
    ];
    const ran = await scripts(() => flood(channel, 20_000, (index) => kinds[index % kinds.length]?.(index) ?? ""));
    expect(ran).toBe(0);
  });

  test("large messages and bytes that are no text are dropped, and what follows them is heard", async () => {
    const { channel, waiter, owner, key, provider } = await deputy();
    const served = win(waiter);
    await sleep(50);
    const ran = await scripts(async () => {
      const large = "x".repeat(8_000_000);
      await stranger.publish(channel, `0 ${owner} ${large}`);
      await stranger.publish(channel, `0 ${large} dlock:${key}`);
      await stranger.publish(channel, " ".repeat(8_000_000));
      await stranger.publish(channel, Buffer.from([0x30, 0x20, 0xff, 0xfe, 0x20, 0xc3]));
    });
    expect(ran).toBe(0);
    expect(await took(provider.forceRelease(key).then(() => served))).toBeLessThan(300);
  });

  test("a flood for a claim in line makes it ask at most so often; it is served all the same, and at once when it is over", async () => {
    const { channel, waiter, owner, key, provider } = await deputy();
    const served = win(waiter);
    let over = false;
    const flooding = (async () => {
      while (!over) await flood(channel, 100, (index) => `${index % 2} ${owner} dlock:${key}`);
    })();
    expect(await scripts(() => sleep(2_000), 0)).toBeLessThan(35);
    over = true;
    await flooding;
    await sleep(1_200);
    expect(await took(provider.forceRelease(key).then(() => served))).toBeLessThan(80);
  });
});
