import { createLocks, type LeaseClaim } from "@dlock/core";
import { type RedisLink, startRedis, startRedisCluster, type StartedRedis } from "@dlock/testbed";
import { Cluster } from "ioredis";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { keysOf } from "../src/keys.js";
import { forceReleaseScript } from "../src/scripts/force-release.js";
import { releaseScript } from "../src/scripts/release.js";
import { renewScript } from "../src/scripts/renew.js";
import type { Script } from "../src/scripts/script.js";
import { tryScript } from "../src/scripts/try.js";
import { undoScript } from "../src/scripts/undo.js";
import { name, opener, sleep, soon, until, win } from "./side.js";

const redis = await startRedis();
const cluster = await startRedisCluster();
afterAll(() => Promise.all([redis.stop(), cluster.stop()]));
// An answer that is cut is to be the script's own.
for (const { client } of [redis, ...cluster.nodes])
  for (const script of [forceReleaseScript, releaseScript, renewScript, tryScript])
    await client.script("LOAD", script.lua);
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

interface Way {
  /** What the library connects to: through the links. */
  where(): Promise<Parameters<typeof open>[0]>;
  readonly direct: string;
  readonly nodes: readonly StartedRedis[];
  links: readonly RedisLink[];
}

async function linked(way: Way): Promise<void> {
  way.links = await Promise.all(way.nodes.map((node) => node.link()));
  closing.push(() => Promise.all(way.links.map((link) => link.close())));
}

const single: Way = {
  direct: redis.url,
  nodes: [redis],
  links: [],
  async where() {
    await linked(this);
    return this.links[0]?.url ?? "";
  },
};
const clustered: Way = {
  direct: cluster.url,
  nodes: cluster.nodes,
  links: [],
  async where() {
    await linked(this);
    const addresses = this.links.map(({ port }) => ({ host: "127.0.0.1", port }));
    const natMap = Object.fromEntries(this.nodes.map(({ host, port }, n) => [`${host}:${port}`, addresses[n]]));
    // As an application has it: it sends again what got no answer.
    const client = new Cluster(addresses, { lazyConnect: true, natMap: natMap as Record<string, never> });
    closing.push(async () => client.disconnect());
    return client;
  },
};

/** By its digest, or by its end where it is sent in full. */
const requestOf = ({ sha, lua }: Script) =>
  new RegExp(`${sha}|${lua.slice(-80).replaceAll(/[^\w\s]/g, String.raw`\$&`)}`);
const cut = (way: Way, script: Script) => Promise.race(way.links.map((link) => link.cutAnswer(requestOf(script))));
const stringOf = async (way: Way, key: string) => {
  const found = await Promise.all(way.nodes.map(({ client }) => client.get(`dlock:${key}`).catch(() => null)));
  return found.find((value) => value !== null) ?? null;
};

describe.each([
  ["one server", single],
  ["a cluster", clustered],
] as const)("on %s, a command whose answer is cut", (_, way) => {
  test.each(["exclusive", "shared"] as const)(
    "forceRelease, of a %s hold: is rejected, and the next in line keeps what it gets",
    async (mode) => {
      const [ours, others] = [open(await way.where()), open(way.direct)];
      const warm = name();
      await win(others.claim(warm));
      expect(await ours.provider.forceRelease(warm)).toBe(true);
      const key = name();
      const holders = [others.claim(key, { mode }), ...(mode === "shared" ? [others.claim(key, { mode })] : [])];
      for (const holder of holders) await win(holder);
      const next = others.claim(key);
      expect(await next.tryAcquire(soon())).toBeUndefined();
      const served = win(next);
      const done = cut(way, forceReleaseScript);
      const forced = ours.provider.forceRelease(key);
      await expect(forced).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true, noEffect: false });
      await done;
      const token = await served;
      await sleep(400);
      expect(await stringOf(way, key)).toContain(`|${token}`);
      expect(await (next as LeaseClaim).renew(20_000)).toBe(true);
      expect(await next.tryAcquire(soon())).toBe(token);
    },
  );

  test("tryAcquire, renew and release: is unknown, and asked again gives what it was", async () => {
    const { claim } = open(await way.where());
    const warm = claim(name(), { ttl: 5_000 });
    await win(warm);
    await (warm as LeaseClaim).renew(5_000);
    await warm.release();
    const key = name();
    const holder = claim(key, { ttl: 5_000 }) as LeaseClaim;
    void cut(way, tryScript);
    await expect(holder.tryAcquire(soon())).rejects.toMatchObject({ retryable: true });
    const value = await stringOf(way, key);
    const token = await retried(() => holder.tryAcquire(soon()));
    expect(value).toContain(`|${token}`);
    void cut(way, renewScript);
    await expect(holder.renew(5_000)).rejects.toMatchObject({ retryable: true });
    expect(await retried(() => holder.renew(5_000))).toBe(true);
    const next = open(way.direct).claim(key);
    expect(await next.tryAcquire(soon())).toBeUndefined();
    const served = win(next);
    void cut(way, releaseScript);
    await expect(holder.release()).rejects.toMatchObject({ retryable: true });
    const later = await served;
    await retried(() => holder.release());
    await sleep(300);
    expect(await stringOf(way, key)).toContain(`|${later}`);
  });

  test("is sent once, as the server counts it", async () => {
    const { claim } = open(await way.where());
    const key = name();
    await win(claim(name()));
    await win(claim(key));
    const other = claim(key, { join: false });
    const total = async () => {
      const counts = await Promise.all(way.nodes.map((node) => node.info("commandstats")));
      return counts.reduce((sum, one) => sum + Number(/calls=(\d+)/.exec(one["cmdstat_evalsha"] ?? "")?.[1] ?? 0), 0);
    };
    const before = await total();
    void cut(way, tryScript);
    await expect(other.tryAcquire(soon())).rejects.toMatchObject({ retryable: true });
    await sleep(600);
    expect((await total()) - before).toBe(1);
  });
});

test("a key that moves is followed all the same: what was redirected was not executed", async () => {
  const { claim, provider } = open(cluster.url);
  const key = name();
  const holder = claim(key) as LeaseClaim;
  await win(holder);
  const { slot } = keysOf(`dlock:${key}`);
  const [from, to] = cluster.nodes.toSorted((one) => (isOn(one, slot) ? -1 : 1)) as [StartedRedis, StartedRedis];
  const [source, target] = [String(await from.client.cluster("MYID")), String(await to.client.cluster("MYID"))];
  await to.client.cluster("SETSLOT", slot, "IMPORTING", source);
  await from.client.cluster("SETSLOT", slot, "MIGRATING", target);
  const names = (await from.client.cluster("GETKEYSINSLOT", slot, 100)) as string[];
  await from.client.call("MIGRATE", to.host, to.port, "", 0, 5_000, "KEYS", ...names);
  expect(await holder.renew(20_000)).toBe(true);
  for (const { client } of cluster.nodes) await client.cluster("SETSLOT", slot, "NODE", target);
  expect(await provider.forceRelease(key)).toBe(true);
  expect(await holder.renew(20_000)).toBe(false);
});

describe("a repeat", () => {
  const held = async (key: string) => (await redis.client.get(`dlock:${key}`)) ?? "";
  const run = (script: Script, key: string, ...args: (string | number)[]) => {
    const { names } = keysOf(`dlock:${key}`);
    return redis.client.eval(script.lua, names.length, ...names, ...args);
  };

  test("of a forced release ends nothing but the holds it names: alone, a group, and a group that others entered", async () => {
    const { claim, provider } = open(redis.url);
    const key = name();
    await win(claim(key));
    const [owner = "", fence = ""] = (await held(key)).split("|");
    const next = claim(key);
    expect(await next.tryAcquire(soon())).toBeUndefined();
    expect(await run(forceReleaseScript, key, owner, fence)).toBe(1);
    const token = await win(next);
    expect(await run(forceReleaseScript, key, owner, fence)).toBe(0);
    expect(await held(key)).toContain(`|${token}`);
    await next.release();

    const early = [claim(key, { mode: "shared" }), claim(key, { mode: "shared" })] as LeaseClaim[];
    for (const reader of early) await win(reader);
    const seen = Object.entries(await redis.client.hgetall(keysOf(`dlock:${key}`).names[4] ?? "")).flat();
    const late = claim(key, { mode: "shared" }) as LeaseClaim;
    await win(late);
    expect(await run(forceReleaseScript, key, ...seen)).toBe(2);
    expect(await Promise.all([...early, late].map((reader) => reader.renew(20_000)))).toEqual([false, false, true]);
    expect(await run(forceReleaseScript, key, ...seen)).toBe(0);
    expect((await provider.inspect(key)).holders).toHaveLength(1);
    expect(await provider.forceRelease(key)).toBe(true);
    expect(await late.renew(20_000)).toBe(false);
    expect(await provider.forceRelease(key)).toBe(false);
  });

  test("of a forced release ends a hold that was made shared since it was seen, and lets the next in", async () => {
    const { claim } = open(redis.url);
    const key = name();
    const writer = claim(key) as LeaseClaim;
    await win(writer);
    const [owner = "", fence = ""] = (await held(key)).split("|");
    expect(await writer.downgrade?.()).toBe(true);
    const next = claim(key);
    expect(await next.tryAcquire(soon())).toBeUndefined();
    const served = win(next);
    expect(await run(forceReleaseScript, key, owner, fence)).toBe(1);
    await served;
  });

  test("of a withdrawal leaves a later hold of the same claim alone", async () => {
    const key = name();
    const holder = open(redis.url).claim(key, { ttl: 300 }) as LeaseClaim;
    const first = await win(holder);
    const [owner = ""] = (await held(key)).split("|");
    await until(async () => (await held(key)) === "");
    const second = await win(holder);
    expect(second).toBeGreaterThan(first);
    expect(await run(undoScript, key, owner, "", "0", String(first))).toBe(0);
    expect(await holder.renew(300)).toBe(true);
    expect(await run(undoScript, key, owner, "", "0", String(second))).toBe(1);
  });

  test("of a try or a renewal that comes late does not shorten what was extended meanwhile", async () => {
    for (const mode of ["exclusive", "shared"] as const) {
      const key = name();
      const holder = open(redis.url).claim(key, { ttl: 1_000, mode }) as LeaseClaim;
      await win(holder);
      const several = mode === "shared";
      const owner = several
        ? ((await redis.client.zrange(keysOf(`dlock:${key}`).names[3] ?? "", "0", "0"))[0] ?? "")
        : ((await held(key)).split("|")[0] ?? "");
      const lease = () => redis.client.pttl(`dlock:${key}`);
      const renewed = (ttl: number, by: string) => {
        const { names } = keysOf(`dlock:${key}`);
        const keys = several ? [names[0] ?? "", ...names.slice(3)] : names.slice(0, 1);
        return redis.client.eval(renewScript.lua, keys.length, ...keys, owner, String(ttl), by);
      };
      const [seconds] = await redis.client.time();
      expect(await holder.renew(30_000)).toBe(true);
      expect(await renewed(1_000, "")).toBe(1);
      expect(await run(tryScript, key, owner, 1_000, `${Number(seconds) + 100}000000`, "once", "", "0")).toBeTypeOf(
        "string",
      );
      expect(await renewed(1_000, `${Number(seconds) - 1}000000`)).toBe(-1);
      expect(await lease()).toBeGreaterThan(25_000);
      expect(await holder.renew(2_000)).toBe(true);
      expect(await lease()).toBeLessThanOrEqual(2_000);
      await holder.release();
    }
  });
});

test("a longer renewal waits until a shorter one without an answer cannot take effect any more", async () => {
  const link = await redis.link();
  closing.push(() => link.close());
  const { claim } = open(link.url);
  const key = name();
  const holder = claim(key, { ttl: 20_000 }) as LeaseClaim;
  await win(holder);
  await holder.renew(20_000);
  link.freeze("replies");
  const shorter = holder.renew(900).catch((error: unknown) => error);
  await sleep(50);
  link.cut();
  link.heal();
  expect(await shorter).toMatchObject({ retryable: true });
  const since = performance.now();
  expect(await retried(() => holder.renew(20_000))).toBe(true);
  expect(performance.now() - since).toBeGreaterThan(200);
  expect(await redis.client.pttl(`dlock:${key}`)).toBeGreaterThan(15_000);
});

test("the value of another library or of another layout is not deleted by force: the error names the key, not the value", async () => {
  for (const [namespace, value] of [
    ["", "their-secret"],
    ["dlock:", "dlock3.whatever|1"],
  ] as const) {
    const key = name();
    await redis.client.set(`${namespace}${key}`, value, "PX", 60_000);
    const { provider } = open(redis.url, { namespace });
    const error: unknown = await provider.forceRelease(key).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "LOCK_BACKEND", key, retryable: false, noEffect: true });
    expect(String(error)).toContain(`"${namespace}${key}"`);
    expect(String(error)).not.toContain(value);
    expect(await redis.client.get(`${namespace}${key}`)).toBe(value);
  }
});

test("locks of a cluster survive connections that are cut all the time", async () => {
  const [here, there] = [
    await createLocks(open(await clustered.where()).provider),
    await createLocks(open(cluster.url).provider),
  ];
  const key = name();
  const end = performance.now() + 2_500;
  let [inside, overlaps, sections] = [0, 0, 0];
  const work = async (locks: typeof here) => {
    while (performance.now() < end) {
      await locks
        .withLock(key, { ttl: 3_000, waitTimeout: 3_000 }, async () => {
          if (++inside > 1) overlaps++;
          await sleep(2);
          inside--;
          sections++;
        })
        .catch(() => {});
    }
  };
  const cutting = setInterval(() => void cut(clustered, releaseScript), 60);
  await Promise.all([work(here), work(there)]);
  clearInterval(cutting);
  expect(overlaps).toBe(0);
  expect(sections).toBeGreaterThan(10);
});

function isOn({ port }: StartedRedis, slot: number): boolean {
  return cluster.nodes[Math.floor((slot * cluster.nodes.length) / 16_384)]?.port === port;
}

/** What a waiter does: a failure that passes is ridden out. */
async function retried<Value>(call: () => Promise<Value>): Promise<Value> {
  for (const end = performance.now() + 5_000; ; await sleep(10)) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > end || !(error as { retryable?: boolean }).retryable) throw error;
    }
  }
}
