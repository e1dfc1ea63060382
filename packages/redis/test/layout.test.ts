import { createHash } from "node:crypto";
import { startRedis } from "@dlock/testbed";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { keysOf } from "../src/keys.js";
import { slotOf, slots } from "../src/slot.js";
import { tagOf } from "../src/slot-tags.js";
import { opener, soon, until, win } from "./side.js";

/** What other releases of dlock have in the same Redis. Who changes this changes the layout: see LAYOUT.md. */
const redis = await startRedis();
afterAll(() => redis.stop());
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
beforeEach(() => redis.client.flushall());
const open = opener((close) => closing.push(close));

const lock = "dlock:stock:42";
const queue = "{30a}\0dlock:queue:2:dlock:stock:42";
const fence = "{30a}\0dlock:fence";
const holders = "{30a}\0dlock:holders:2:dlock:stock:42";
const fences = "{30a}\0dlock:fences:2:dlock:stock:42";
const ours = /^dlock2\.[0-9a-f]{32}:[0-9a-z]{13}:the%20label$/;

describe("keys", () => {
  test("are these", () => {
    expect(keysOf(lock)).toEqual({ slot: slotOf("30a"), names: [lock, queue, fence, holders, fences] });
    const names = ["a", "{a}", "}{", "{}", "{}{a}", "a{b}c", "{{a}}", "dlock:é", "dlock:🔒{x"].map(
      (name) => keysOf(name).names[2],
    );
    expect(names).toMatchInlineSnapshot(`
      [
        "{a}\u0000dlock:fence",
        "{a}\u0000dlock:fence",
        "{9s}\u0000dlock:fence",
        "{2ml}\u0000dlock:fence",
        "{4e}\u0000dlock:fence",
        "{b}\u0000dlock:fence",
        "{2mp}\u0000dlock:fence",
        "{88b}\u0000dlock:fence",
        "{a5y}\u0000dlock:fence",
      ]
    `);
  });

  test("have a tag for every slot, and the table of tags is this one", () => {
    const tags = Array.from({ length: slots }, (_, slot) => tagOf(slot));
    for (const [slot, tag] of tags.entries()) expect(slotOf(`{${tag}}\0dlock:fence`)).toBe(slot);
    expect(Math.max(...tags.map((tag) => tag.length))).toBe(4);
    expect(createHash("sha1").update(tags.join()).digest("hex")).toMatchInlineSnapshot(
      `"10d338c0fd7e90d8efbd375f5ed2a449c939421f"`,
    );
  });
});

describe("values", () => {
  const request = { owner: "the label" };

  test("of a hold: owner|fence, and the same fence in the counter", async () => {
    const { claim } = open(redis.url);
    const token = await win(claim("stock:42", request));
    expect((await redis.client.keys("*")).toSorted()).toEqual([lock, fence].toSorted());
    const [owner = "", shown, ...rest] = ((await redis.client.get(lock)) ?? "").split("|");
    expect(owner).toMatch(ours);
    expect([shown, rest]).toEqual([String(token), []]);
    expect(await redis.client.get(fence)).toBe(String(token));
    expect(await redis.client.pttl(fence)).toBe(-1);
  });

  test("of a line: owners, scored with the µs at which they joined, gone a minute after the last look", async () => {
    const { claim } = open(redis.url);
    await win(claim("stock:42"));
    const [one, two] = [claim("stock:42", request), claim("stock:42", request)];
    const before = Date.now() * 1_000 - 1_000_000;
    await one.tryAcquire(soon());
    await two.tryAcquire(soon());
    const [first = "", at, second = "", later] = await redis.client.zrange(queue, "0", "-1", "WITHSCORES");
    expect(first).toMatch(ours);
    expect(second).toMatch(ours);
    expect(Number(at)).toBeGreaterThan(before);
    expect(Number(later)).toBeGreaterThan(Number(at));
    expect(await redis.client.pttl(queue)).toBeGreaterThan(59_000);
    expect(await redis.client.pttl(queue)).toBeLessThanOrEqual(60_000);
  });

  test("of a claim that polls: its owner and a tilde", async () => {
    const { claim } = open(redis.url);
    await win(claim("stock:42"));
    await claim("stock:42").tryAcquire(soon());
    await open(redis.url, { order: "none" }).claim("stock:42", request).tryAcquire(soon());
    const members = await redis.client.zrange(queue, "0", "-1");
    expect(members[1]).toMatch(/^dlock2\.[0-9a-f]{32}:[0-9a-z]{13}:the%20label~$/);
  });

  test("of a grant: owner|fence|g for a claim window, told to the channel of its process", async () => {
    const { claim } = open(redis.url);
    const holder = claim("stock:42");
    await win(holder);
    // Somebody of another release, who hears and does nothing.
    const process = "dlock2.0123456789abcdef0123456789abcdef";
    const [heard, ear] = [[] as string[], redis.client.duplicate()];
    closing.push(async () => ear.disconnect());
    ear.on("message", (_channel, message: string) => void heard.push(message));
    await ear.subscribe(process);
    await redis.client.zadd(queue, "1", `${process}:1:first`, "2", `${process}:2:second`);
    await holder.release();
    expect(await redis.client.get(lock)).toMatch(/^dlock2\.0123456789abcdef0123456789abcdef:1:first\|\d{16}\|g$/);
    expect(await redis.client.pttl(lock)).toBeGreaterThan(1_400);
    expect(await redis.client.pttl(lock)).toBeLessThanOrEqual(1_500);
    expect(await redis.client.zrange(queue, "0", "-1")).toEqual([`${process}:2:second`]);
    await until(() => heard.length === 2);
    expect(heard).toEqual([`0 ${process}:1:first ${lock}`, `1500 ${process}:2:second ${lock}`]);
  });
});

describe("values of several who hold", () => {
  const one = /^dlock2\.[0-9a-f]{32}:s\.[0-9a-z]{13}:reader$/;

  test("are a mark, when each hold ends in µs, and the fence of each, all with the last of them's time to live", async () => {
    const { claim } = open(redis.url);
    const reader = { owner: "reader", mode: "shared", ttl: 5_000 } as const;
    const token = await win(claim("stock:42", { ...reader, ttl: 20_000 }));
    await win(claim("stock:42", reader));
    expect((await redis.client.keys("*")).toSorted()).toEqual([lock, fence, holders, fences].toSorted());
    expect(await redis.client.get(lock)).toBe("dlock2.|s");
    const [first = "", ends, second = "", later] = await redis.client.zrange(holders, "0", "-1", "WITHSCORES");
    for (const owner of [first, second]) expect(owner).toMatch(one);
    expect((Number(later) - Number(ends)) / 1_000).toBeGreaterThan(14_000);
    expect(await redis.client.hget(fences, second)).toBe(String(token));
    for (const key of [lock, holders, fences]) {
      expect(await redis.client.pttl(key)).toBeGreaterThan(19_000);
      expect(await redis.client.pttl(key)).toBeLessThanOrEqual(20_000);
    }
  });

  test("of readers that were let in last for a claim window, with a mark, until each confirms its own; who leaves leaves nothing", async () => {
    const { claim } = open(redis.url);
    const writer = claim("stock:42");
    await win(writer);
    const readers = [1, 2].map(() => claim("stock:42", { owner: "reader", mode: "shared", ttl: 20_000 }));
    for (const reader of readers) expect(await reader.tryAcquire(soon())).toBeUndefined();
    await writer.release();
    for (const value of await redis.client.hvals(fences)) expect(value).toMatch(/^\d{16}\|g$/);
    expect(await redis.client.pttl(lock)).toBeLessThanOrEqual(1_500);
    for (const [confirmed, reader] of readers.entries()) {
      await reader.tryAcquire(soon());
      const marked = (await redis.client.hvals(fences)).filter((value) => value.endsWith("|g"));
      expect(marked).toHaveLength(1 - confirmed);
      expect(await redis.client.zcount(holders, (Date.now() + 10_000) * 1_000, "+inf")).toBe(confirmed + 1);
    }
    expect(await redis.client.pttl(lock)).toBeGreaterThan(19_000);
    await readers[0]?.release();
    expect(await redis.client.hlen(fences)).toBe(1);
    expect(await redis.client.zcard(holders)).toBe(1);
  });

  test("name the limit of a semaphore, in the mark and in owners; a grant is marked until it is confirmed", async () => {
    const { claim } = open(redis.url);
    const permits = [1, 2].map(() => claim("stock:42", { limit: 2 }));
    for (const permit of permits) await win(permit);
    expect(await redis.client.get(lock)).toBe("dlock2.|p2");
    const process = "dlock2.0123456789abcdef0123456789abcdef";
    const ear = redis.client.duplicate();
    closing.push(async () => ear.disconnect());
    await ear.subscribe(process);
    await redis.client.zadd(queue, "1", `${process}:p2.1:first`);
    await permits[0]?.release();
    expect(await redis.client.hget(fences, `${process}:p2.1:first`)).toMatch(/^\d{16}\|g$/);
    expect(await redis.client.zcard(holders)).toBe(2);
  });
});

test("a label may be anything", async () => {
  const { claim, provider } = open(redis.url);
  for (const label of ["~", "a~", "|g", "a b:c|d", "%41", "é🔒", "\ud800"]) {
    const [holder, waiter] = [claim("stock:42", { owner: label }), claim("stock:42", { owner: label })];
    await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    const { holders, waiters } = await provider.inspect("stock:42");
    const shown = label === "\ud800" ? "\ufffd" : label;
    expect([holders[0]?.owner, waiters[0]?.owner]).toEqual([shown, shown]);
    await holder.release();
    await win(waiter);
    await waiter.release();
    expect(await redis.client.keys("dlock:*")).toEqual([]);
  }
});

describe("what others wrote", () => {
  test("is understood: a hold, a line, a counter", async () => {
    await redis.client.set(lock, "dlock2.aa:1:their%20label|1700000000000001", "PX", 60_000);
    await redis.client.set(fence, "99999999999999999");
    await redis.client.zadd(queue, "5", "dlock2.aa:3:b", "4", "dlock2.aa:2:a~");
    const { claim, provider } = open(redis.url);
    const { holders, waiters } = await provider.inspect("stock:42");
    expect(holders).toMatchObject([{ owner: "their label", fencingToken: 1700000000000001n }]);
    expect(waiters.map(({ owner }) => owner)).toEqual(["a", "b"]);
    const waiter = claim("stock:42");
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(await provider.forceRelease("stock:42")).toBe(true);
    // The first polls: it need not be told.
    expect(await redis.client.get(lock)).toBe("dlock2.aa:2:a|100000000000000000|g");
    expect(await provider.forceRelease("stock:42")).toBe(true);
    // The second hears nobody: it is passed over.
    expect(await win(waiter)).toBe(100000000000000001n);
  });

  test("in another layout is excluded, and reported once", async () => {
    await redis.client.set(lock, "dlock1.whatever it may be", "PX", 60_000);
    const { claim, provider, notices } = open(redis.url);
    const waiter = claim("stock:42");
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(notices).toMatchObject([{ code: "OTHER_LAYOUT", key: "stock:42" }]);
    await provider.inspect("stock:42");
    await redis.client.del(lock);
    await win(waiter);
  });
});
