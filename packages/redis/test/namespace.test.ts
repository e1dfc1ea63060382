import { createLocks, type LeaseClaim } from "@dlock/core";
import { quorum } from "@dlock/core/combinators";
import { redisProvider } from "@dlock/redis";
import { startRedis, startRedisCluster } from "@dlock/testbed";
import { Cluster, Redis } from "ioredis";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { keysOf } from "../src/keys.js";
import { slotOf } from "../src/slot.js";
import { tagOf } from "../src/slot-tags.js";
import { name, opener, soon, until, win } from "./side.js";

const redis = await startRedis();
const cluster = await startRedisCluster();
afterAll(() => Promise.all([redis.stop(), cluster.stop()]));
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));
const across = new Cluster(cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
afterAll(() => across.disconnect());

type Store = Pick<Redis, "get" | "set" | "del" | "type" | "dump" | "rpush" | "hset" | "sadd" | "zadd" | "xadd">;
const deployments: readonly (readonly [string, string, Store])[] = [
  ["one server", redis.url, redis.client],
  ["a cluster", cluster.url, across],
];

/** Keys of users that look like names of our own, of this layout and of the first, for a lock of that name. */
function hostile(lock: string): string[] {
  const tag = `{${tagOf(slotOf(lock))}}`;
  const first = ["queue:1:", "holders:1:", "fences:1:"].map((what) => `${tag}:dlock:${what}${lock}`);
  const bare = ["queue:2:", "holders:2:", "fences:2:"].map((what) => `dlock:${what}${lock}`);
  const visible = keysOf(lock)
    .names.slice(1)
    .flatMap((own) => ["", ":", " ", "\\0", "\\x00", "\u2400"].map((mark) => own.replaceAll("\0", mark)));
  return [
    lock,
    ...["~", "|g", ":", "{}"].flatMap((piece) => [`${lock}${piece}`, `${piece}${lock}`]),
    `{${lock}}`,
    `{${lock}`,
    `}${lock}`,
    `${tag}${lock}`,
    tag,
    `${tag}:`,
    `${tag}dlock`,
    `${tag}:dlock:fence`,
    ...first,
    ...bare,
    ...visible,
    "dlock2.",
    "dlock2.|s",
    "dlock1.",
    `dlock2.|${lock}`,
    `dlock2.0123456789abcdef0123456789abcdef:${lock}`,
  ];
}

describe.each(deployments)("with no namespace, on %s", (_, url) => {
  test("every name is a lock of its own, whatever it looks like: alone, shared, counted and waited for", async () => {
    const [here, there] = [open(url, { namespace: "" }), open(url, { namespace: "" })];
    const lock = name();
    // A name of ours that is made from another name of ours.
    const names = [...new Set([...hostile(lock), ...hostile(hostile(lock)[20] ?? "")])];
    const kinds = [{}, { mode: "shared" }, { limit: 2 }] as const;
    const holders = new Map(names.map((key, place) => [key, here.claim(key, kinds[place % 3])]));
    for (const [key, claim] of holders)
      expect([key, await claim.tryAcquire(soon())]).toEqual([key, expect.any(BigInt)]);
    const waiters = new Map(names.map((key, place) => [key, there.claim(key, place % 3 === 2 ? { limit: 2 } : {})]));
    const beside = names.filter((_key, place) => place % 3 === 2).map((key) => there.claim(key, { limit: 2 }));
    for (const claim of beside) expect(await claim.tryAcquire(soon())).toEqual(expect.any(BigInt));
    for (const [key, claim] of waiters) expect([key, await claim.tryAcquire(soon())]).toEqual([key, undefined]);
    for (const key of names) {
      const { holders: shown, waiters: line } = await there.provider.inspect(key);
      expect([key, shown.length, line.length]).toEqual([key, names.indexOf(key) % 3 === 2 ? 2 : 1, 1]);
    }
    for (const claim of beside) await claim.release();
    for (const [key, claim] of holders) expect([key, await (claim as LeaseClaim).renew(20_000)]).toEqual([key, true]);
    for (const claim of holders.values()) await claim.release();
    for (const [key, claim] of waiters) expect([key, (await win(claim, 5_000)) > 0n]).toEqual([key, true]);
    for (const claim of waiters.values()) await claim.release();
    for (const key of names) expect((await here.provider.inspect(key)).holders).toEqual([]);
  });

  test("the channel of a process is no name of its own", async () => {
    const { claim } = open(url, { namespace: "" });
    const [holder, waiter] = [claim("channel"), claim("channel")];
    await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    const store = url === redis.url ? redis.client : across;
    const process = String(await store.get("channel")).split(":")[0] ?? "";
    const named = claim(process);
    await win(named);
    await holder.release();
    await win(waiter, 2_000);
    await Promise.all([waiter.release(), named.release()]);
  });
});

describe.each(deployments)("a value that is no string under the name of a lock, on %s", (_, url, store) => {
  const values: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    list: (key) => store.rpush(key, "a", "b"),
    hash: (key) => store.hset(key, "a", "b"),
    set: (key) => store.sadd(key, "a", "b"),
    zset: (key) => store.zadd(key, 1, "a"),
    stream: (key) => store.xadd(key, "*", "a", "b"),
  };

  test.each(Object.keys(values))("%s: every call says so by one error, and leaves it as it is", async (type) => {
    for (const namespace of ["", "dlock:"]) {
      const { claim, provider } = open(url, { namespace });
      const key = name();
      await values[type]?.(namespace + key);
      const before = await store.dump(namespace + key);
      const locks = await createLocks(provider);
      const calls = {
        tryAcquire: () => locks.tryAcquire(key),
        acquire: () => locks.acquire(key, { waitTimeout: 5_000 }),
        withLock: () => locks.withLock(key, () => expect.unreachable()),
        shared: () => locks.acquire(key, { mode: "shared" }),
        semaphore: () => locks.acquire(key, { limit: 2 }),
        several: () => locks.acquireAll([key, `${key}-2`]),
        inspect: () => locks.inspect(key),
        forceRelease: () => provider.forceRelease(key),
        once: () => claim(key, { join: false }).tryAcquire(soon()),
        joined: () => claim(key).tryAcquire(soon()),
      };
      for (const [call, run] of Object.entries(calls)) {
        const error: unknown = await run().then(
          () => `${call} did not fail`,
          (reason: unknown) => reason,
        );
        expect(error).toMatchObject({ code: "LOCK_BACKEND", retryable: false, key });
        expect((error as Error).message).toContain(`"${namespace}${key}" in redis is a ${type}`);
      }
      expect(await store.dump(namespace + key)).toEqual(before);
      await locks.close();
      await store.del(namespace + key);
    }
  });

  test("that came while it was held ends the hold, which is told, and its release says why", async () => {
    const { claim, provider } = open(url, { namespace: "" });
    const keys = [name(), name(), name(), name()] as const;
    const claims = keys.map((key, place) => claim(key, place % 2 === 0 ? {} : { mode: "shared" })) as LeaseClaim[];
    const waiters = keys.map((key) => claim(key));
    for (const [place, one] of claims.entries()) {
      await win(one);
      expect(await waiters[place]?.tryAcquire(soon())).toBeUndefined();
      await store.del(keys[place] ?? "");
      await values["list"]?.(keys[place] ?? "");
    }
    const before = await Promise.all(keys.map((key) => store.dump(key)));
    const [writer, reader, other, another] = claims as [LeaseClaim, LeaseClaim, LeaseClaim, LeaseClaim];
    expect([await writer.renew(20_000), await reader.renew(20_000)]).toEqual([false, false]);
    expect([await other.downgrade?.(), await another.raise?.(1n)]).toEqual([false, false]);
    for (const one of [...claims, ...waiters]) await expect(one.release()).rejects.toThrow("is a list");
    expect(await Promise.all(keys.map((key) => store.dump(key)))).toEqual(before);
    // The places in line are given up all the same.
    for (const key of keys) await store.del(key);
    for (const key of keys) expect((await provider.inspect(key)).waiters).toEqual([]);
    const lost = name();
    const locks = await createLocks(provider, { ttl: 300 });
    const events: unknown[] = [];
    locks.on("lost", ({ key }) => void events.push(key));
    const lock = await locks.acquire(lost);
    await store.del(lost);
    await values["hash"]?.(lost);
    await until(() => lock.signal.aborted);
    expect([events, await lock.release(), await store.type(lost)]).toEqual([[lost], false, "hash"]);
    await locks.close();
    await store.del(lost);
  });
});

test("a list under the name of a lock at a majority of a quorum's members is said at once, and left alone", async () => {
  const members = ["a:", "b:", "c:"].map((namespace) => open(redis.url, { namespace }).provider);
  const locks = await createLocks(quorum(members));
  const key = name();
  for (const namespace of ["a:", "b:"]) await redis.client.rpush(namespace + key, "a");
  for (const call of [() => locks.tryAcquire(key), () => locks.acquire(key), () => locks.inspect(key)]) {
    const error: unknown = await call().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "LOCK_BACKEND", retryable: false, key });
    expect((error as Error).message).toContain(`"a:${key}" in redis is a list`);
  }
  await until(async () => (await redis.client.exists(`c:${key}`)) === 0);
  expect(await redis.client.lrange(`b:${key}`, 0, -1)).toEqual(["a"]);
  await locks.close();
});

describe("a value of the first layout", () => {
  test.each([
    "dlock1.0123456789abcdef0123456789abcdef:1:label|1700000000000001",
    "dlock1.0123456789abcdef0123456789abcdef:1:label|1700000000000001|g",
    "dlock1.|s",
    "dlock1.|p3",
  ])("keeps ours out, in every mode, until it is gone, and is left alone: %s", async (value) => {
    const { claim, provider, notices } = open(redis.url);
    const key = name();
    await redis.client.set(`dlock:${key}`, value, "PX", 60_000);
    const claims = [claim(key), claim(key, { mode: "shared" }), claim(key, { limit: 3 }), claim(key, { join: false })];
    for (const one of claims) expect(await one.tryAcquire(soon())).toBeUndefined();
    expect((await provider.inspect(key)).holders).toHaveLength(1);
    for (const one of claims.slice(1)) await one.release();
    expect(await redis.client.get(`dlock:${key}`)).toBe(value);
    expect(notices).toMatchObject([{ code: "OTHER_LAYOUT", key }]);
    await redis.client.del(`dlock:${key}`);
    await win(claims[0] as LeaseClaim, 2_000);
  });

  test("is not given back by a claim of its owner's name", async () => {
    const { claim } = open(redis.url);
    const key = name();
    const stranger = claim(key) as LeaseClaim;
    await redis.client.set(`dlock:${key}`, "dlock1.|s", "PX", 60_000);
    expect([await stranger.renew(1_000), await stranger.downgrade?.()]).toEqual([false, false]);
    await stranger.release();
    expect(await redis.client.get(`dlock:${key}`)).toBe("dlock1.|s");
  });
});

describe("a lent client with a key prefix", () => {
  const single = (keyPrefix: string | Buffer) =>
    new Redis({ port: redis.port, lazyConnect: true, keyPrefix: keyPrefix as string });
  const lent = (keyPrefix: string | Buffer) => {
    const client = single(keyPrefix);
    closing.push(async () => client.disconnect());
    return client;
  };
  const clustered = (options: object) => {
    const client = new Cluster([{ host: "127.0.0.1", port: cluster.nodes[0]?.port ?? 0 }], {
      lazyConnect: true,
      ...options,
    });
    closing.push(async () => client.disconnect());
    return client;
  };

  test.each([
    ["app:", undefined, "app:dlock:"],
    ["app:", "", "app:"],
    ["app:", "shop:", "app:shop:"],
    ["{a", "}", "{a}"],
    ["é", "🔒", "é🔒"],
    [Buffer.from("é"), "", "é"],
  ])("%s and the namespace %s are the namespace %s of a URL", async (keyPrefix, namespace, whole) => {
    await meet(open(lent(keyPrefix), { namespace }), open(`${redis.url}`, { namespace: whole }));
    const locks = await createLocks(`${redis.url}?namespace=${encodeURIComponent(whole)}`);
    const key = name();
    const held = open(lent(keyPrefix), { namespace }).claim(key);
    await win(held);
    expect(await locks.tryAcquire(key)).toBeUndefined();
    await held.release();
    await locks.close();
  });

  test.each([
    { keyPrefix: "app:" },
    { redisOptions: { keyPrefix: "app:" } },
    { keyPrefix: "", redisOptions: { keyPrefix: "app:" } },
  ])("means the same in a cluster: %j", async (options) => {
    await meet(open(clustered(options), { namespace: "shop:" }), open(cluster.url, { namespace: "app:shop:" }));
  });

  test.each([["a\0"], ["a\ud800"], [Buffer.from([0xff])], [1]])(
    "that cannot be a part of keys is refused: %s",
    (keyPrefix) => {
      expect(() => redisProvider(lent(keyPrefix as string))).toThrow("keyPrefix");
    },
  );

  async function meet(one: ReturnType<typeof open>, other: ReturnType<typeof open>): Promise<void> {
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      const key = name();
      const [holder, waiter] = [here.claim(key), there.claim(key)];
      const token = await win(holder);
      expect(await waiter.tryAcquire(soon())).toBeUndefined();
      await holder.release();
      expect(await win(waiter, 2_000)).toBeGreaterThan(token);
      await waiter.release();
    }
  }
});
