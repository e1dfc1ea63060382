import { createLocks } from "@dlock/core";
import { type Redis, startRedis, startRedisCluster } from "@dlock/testbed";
import { Cluster } from "ioredis";
import { afterAll, afterEach, expect, test } from "vitest";
import { slotOf } from "../src/slot.js";
import { name, opener, soon, took, until, win } from "./side.js";

const redis = await startRedisCluster();
afterAll(() => redis.stop());
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

test("names that try to break the slot work: braces in every position, also without a namespace", async () => {
  const pieces = ["", "{", "}", "{}", "a", "{a}", "}{", "{{a}}", "é"];
  const names = new Set<string>();
  for (const one of pieces) for (const two of pieces) for (const three of pieces) names.add(`${one}${two}${three}`);
  names.delete("");
  for (const namespace of ["dlock:", "", "{", "{tag}", "}"]) {
    const [here, there] = [open(redis.url, { namespace }), open(redis.url, { namespace })];
    await Promise.all(
      [...names].map(async (key) => {
        const [holder, waiter] = [here.claim(key), there.claim(key)];
        await win(holder);
        expect(await waiter.tryAcquire(soon())).toBeUndefined();
        await holder.release();
        await win(waiter);
        expect((await here.provider.inspect(key)).holders).toHaveLength(1);
        await waiter.release();
      }),
    );
  }
});

test("keys hash as the server says", async () => {
  for (const key of ["123456789", "a", "{a}b", "{}a", "a{}b{c}", "{", "}{a}", "é{ü}", "{{a}}", "🔒"]) {
    expect(await redis.nodes[0]?.client.cluster("KEYSLOT", key)).toBe(slotOf(key));
  }
});

test("a release tells a waiter on whichever primary its lock is, not the fallback timer", async () => {
  const [here, there] = [open(redis.url), open(redis.url)];
  const nodes = new Set<string>();
  for (let round = 0; round < 60; round++) {
    const key = name();
    const [holder, waiter] = [here.claim(key), there.claim(key)];
    await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    const turn = win(waiter);
    await holder.release();
    expect(await took(turn)).toBeLessThan(500);
    await waiter.release();
  }
  for (const [index, node] of redis.nodes.entries()) {
    const channels = (await node.client.pubsub("CHANNELS", "dlock2.*")) as string[];
    if (channels.length > 0) nodes.add(String(index));
  }
  expect(nodes.size).toBe(3);
});

test("a slot that moves takes its lock along: the holder renews, the waiter is served", async () => {
  const [here, there] = [await createLocks(open(redis.url).provider), await createLocks(open(redis.url).provider)];
  const key = name();
  const lock = await here.acquire(key, { ttl: 5_000 });
  const next = there.acquire(key);
  next.catch(() => {});
  const slot = Number(await redis.nodes[0]?.client.cluster("KEYSLOT", `dlock:${key}`));
  await move(slot);
  await lock.extend();
  expect(await lock.release()).toBe(true);
  const waited = await took(next);
  expect(waited).toBeLessThan(6_000);
  expect(await (await next).release()).toBe(true);
});

test("a hold is kept while its slot moves, before and after its key has moved", async () => {
  const locks = await createLocks(open(redis.url).provider);
  const key = name();
  const lock = await locks.acquire(key, { ttl: 20_000 });
  const slot = Number(await redis.nodes[0]?.client.cluster("KEYSLOT", `dlock:${key}`));
  await move(slot, undefined, redis.nodes, () => lock.extend());
  await lock.extend();
  expect(await lock.release()).toBe(true);
});

/** To the node, or to the one after its owner. */
async function move(
  slot: number,
  to?: Redis,
  nodes: readonly Redis[] = redis.nodes,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<void> {
  const keys = await Promise.all(
    nodes.map(({ client }) => client.cluster("GETKEYSINSLOT", slot, 100) as Promise<string[]>),
  );
  const from = keys.findIndex((found) => found.length > 0);
  const source = nodes[from];
  const target = to ?? nodes[(from + 1) % nodes.length];
  if (!source || !target) throw new Error("no such nodes");
  const [there, here] = [String(await target.client.cluster("MYID")), String(await source.client.cluster("MYID"))];
  await target.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", here);
  await source.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", there);
  await meanwhile();
  await source.client.call("MIGRATE", target.host, target.port, "", 0, 1_000, "KEYS", ...(keys[from] ?? []));
  await meanwhile();
  for (const node of [target, source]) await node.client.call("CLUSTER", "SETSLOT", slot, "NODE", there);
}

test("a lent Cluster serves as the model of connections of our own, and is left alone", async () => {
  const client = new Cluster(
    redis.nodes.map(({ host, port }) => ({ host, port })),
    { lazyConnect: true, keyPrefix: "app:" },
  );
  closing.push(async () => client.disconnect());
  const { claim, provider } = open(client);
  const key = name();
  const holder = claim(key);
  await win(holder);
  expect(client.status).toBe("wait");
  await client.connect();
  // Their key, as that client sees it.
  expect(await client.get(`dlock:${key}`)).toMatch(/^dlock2\./);
  await provider.close();
  expect(client.status).toBe("ready");
});

test("a primary that joins later is listened to as well", { timeout: 60_000 }, async () => {
  const joining = await startRedis({
    "cluster-enabled": "yes",
    // It stays a primary when it gives its only slot back.
    "cluster-allow-replica-migration": "no",
    appendonly: "no",
  });
  closing.push(() => joining.stop());
  const [first] = redis.nodes;
  if (!first) throw new Error("no such node");
  await first.client.call("CLUSTER", "MEET", joining.host, joining.port);
  for (const { client } of [first, joining]) {
    await until(async () => {
      const info = String(await client.cluster("INFO"));
      return info.includes("cluster_known_nodes:4") && info.includes("cluster_state:ok");
    }, 20_000);
  }
  const [here, there] = [open(redis.url), open(redis.url)];
  const key = name();
  const [holder, waiter] = [here.claim(key), there.claim(key)];
  await win(holder);
  expect(await waiter.tryAcquire(soon())).toBeUndefined();
  await move(slotOf(`dlock:${key}`), joining);
  await holder.release();
  await win(waiter);
  // From now on both know where the lock is.
  const next = here.claim(key);
  expect(await next.tryAcquire(soon())).toBeUndefined();
  await until(async () => ((await joining.client.pubsub("CHANNELS", "dlock2.*")) as string[]).length === 2);
  const turn = win(next);
  await waiter.release();
  expect(await took(turn)).toBeLessThan(500);
  await next.release();
  await win(here.claim(key));
  await move(slotOf(`dlock:${key}`), first, [joining]);
});
