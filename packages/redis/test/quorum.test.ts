import { type Claim, type ClaimRequest, createLocks, type LockBackendError } from "@dlock/core";
import { createProvider, redisQuorum, type RedisQuorumOptions } from "@dlock/redis";
import { startRedisQuorum } from "@dlock/testbed";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { name, sleep, soon, took, until } from "./side.js";

const group = await startRedisQuorum(5, { appendonly: "no" });
afterAll(() => group.stop());
const closing: (() => unknown)[] = [];
const down = new Set<number>();
beforeEach(() => down.clear());
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  for (const n of down) await group.nodes[n]?.server.restart({ keepData: false });
});

const server = (n: number) => group.nodes[n]!.server; // there are five
const address = (n: number) => `${group.nodes[n]!.host}:${group.nodes[n]!.port}`;
const kill = (...nodes: number[]) => Promise.all(nodes.map((n) => (down.add(n), server(n).kill())));
const pause = (...nodes: number[]) => Promise.all(nodes.map((n) => server(n).pause()));
const resume = (...nodes: number[]) => Promise.all(nodes.map((n) => server(n).resume()));
const holders = async (key: string) => {
  const values = await Promise.all(group.nodes.map(({ client }) => client.get(`dlock:${key}`).catch(() => null)));
  return values.map((value) => value !== null);
};

function open(options?: RedisQuorumOptions) {
  const provider = redisQuorum({ url: group.url }, options);
  closing.push(() => provider.close?.());
  return provider;
}

function claimOf(provider: ReturnType<typeof open>, key: string, request: Partial<ClaimRequest> = {}): Claim {
  const claim = provider.claim({
    id: crypto.randomUUID(),
    owner: "test",
    ttl: 2_000,
    mode: "exclusive",
    limit: 1,
    join: false,
    key,
    ...request,
  });
  closing.push(() => claim.release().catch(() => {}));
  return claim;
}

describe("with two of five servers", () => {
  test("killed, locks are taken, kept and given back as before", async () => {
    const [locks, others] = [await createLocks(open()), await createLocks(open())];
    await locks.withLock(name(), async () => {});
    await kill(1, 3);
    const key = name();
    const lock = await locks.acquire(key, { ttl: 600 });
    expect(await others.tryAcquire(key)).toBeUndefined();
    await sleep(1_500);
    lock.throwIfLost();
    expect(await took(lock.release())).toBeLessThan(300);
    const next = await others.acquire(key, { waitTimeout: 2_000 });
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(await next.release()).toBe(true);
  });

  test("paused, a lock costs a few milliseconds more, not their silence", async () => {
    const locks = await createLocks(open());
    await locks.withLock(name(), async () => {});
    closing.push(() => resume(0, 4));
    await pause(0, 4);
    const times: number[] = [];
    for (let round = 0; round < 5; round++) times.push(await took(locks.withLock(name(), async () => {})));
    expect(Math.min(...times)).toBeLessThan(150);
  });
});

describe("with three of five servers", () => {
  test("killed, a lock is refused within the time limit by an error that names them", async () => {
    const locks = await createLocks(open(), { backendTimeout: 1_500 });
    await locks.withLock(name(), async () => {});
    await kill(0, 2, 3);
    const key = name();
    const once = locks.tryAcquire(key).then(
      () => expect.unreachable(),
      (error: LockBackendError) => error,
    );
    expect(await took(once)).toBeLessThan(1_200);
    const error = await once;
    expect(error).toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    expect(error.message).toContain(`2 of 5 members answered about "${key}", 3 are needed; no answer from`);
    for (const n of [0, 2, 3]) expect(error.message).toContain(`${address(n)} (`);
    for (const n of [1, 4]) expect(error.message).not.toContain(address(n));
    const waiting = locks.acquire(key, { waitTimeout: 10_000 }).then(
      () => expect.unreachable(),
      (reason: Error) => reason,
    );
    expect(await took(waiting)).toBeLessThan(1_500 + 500);
    expect((await waiting).cause).toMatchObject({ message: expect.stringContaining(address(2)) });
    await until(async () => (await holders(key)).every((held) => !held));
  });

  test("killed while a lock is held, its holder is told by the ttl", async () => {
    const locks = await createLocks(open());
    const lock = await locks.acquire(name(), { ttl: 900 });
    const told = new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
    await kill(0, 1, 2);
    expect(await took(told)).toBeLessThan(900 + 200);
    expect(await lock.release()).toBe(false);
  });

  test("paused, whoever waits is served when they go on", async () => {
    const locks = await createLocks(open());
    await locks.withLock(name(), async () => {});
    closing.push(() => resume(0, 1, 2));
    await pause(0, 1, 2);
    const waiting = locks.acquire(name());
    await sleep(700);
    await resume(0, 1, 2);
    expect(await (await waiting).release()).toBe(true);
  });
});

test("a server that was paused and executes an old request later harms nobody", async () => {
  const [first, second] = [open(), open()];
  const key = name();
  await claimOf(first, name()).tryAcquire(soon());
  await claimOf(second, name()).tryAcquire(soon());
  closing.push(() => resume(3, 4));
  await pause(3, 4);
  const early = claimOf(first, key, { ttl: 1_000 });
  const token = await early.tryAcquire(soon());
  expect(token).toBeTypeOf("bigint");
  await early.release();
  const holder = claimOf(second, key, { ttl: 5_000 });
  const later = await holder.tryAcquire(soon());
  expect(later).toBeGreaterThan(token ?? 0n);
  await sleep(1_000);
  await resume(3, 4);
  await sleep(300);
  // What was sent for the first holder was executed now, and did nothing: nobody but the second holds anything.
  expect(await holders(key)).toEqual([true, true, true, false, false]);
  expect(await holder.tryAcquire(soon())).toBe(later);
  const stranger = claimOf(first, key);
  expect(await stranger.tryAcquire(soon())).toBeUndefined();
  await holder.release();
  expect(await stranger.tryAcquire(soon())).toBeGreaterThan(later ?? 0n);
});

describe("when a server that forgets its locks restarts", () => {
  const ttl = 2_500;

  /** A hold of servers 0 to 2 only, and a second claim that may take what it can get. */
  async function holdOfThree() {
    const key = name();
    const [first, second] = [open(), open()];
    await claimOf(first, name()).tryAcquire(soon());
    closing.push(() => resume(3, 4));
    await pause(3, 4);
    const holder = claimOf(first, key, { ttl });
    const askedAt = performance.now();
    expect(await holder.tryAcquire(soon())).toBeTypeOf("bigint");
    await resume(3, 4);
    await until(async () => (await holders(key)).join() === "true,true,true,false,false");
    const rival = claimOf(second, key, { ttl });
    expect(await rival.tryAcquire(soon())).toBeUndefined();
    return { key, holder, rival, end: askedAt + ttl };
  }

  test("at once, two claims hold one lock", async () => {
    const { rival, end } = await holdOfThree();
    await server(2).restart({ keepData: false });
    const token = await rival.tryAcquire(soon());
    expect(token).toBeTypeOf("bigint");
    // The first one was promised the lock until later, and nobody has told it otherwise.
    expect(performance.now()).toBeLessThan(end - ttl / 4);
  });

  test("after the longest ttl, they do not", async () => {
    const { holder, rival, end } = await holdOfThree();
    await kill(2);
    // A try may take its 300 ms, and is to be answered before the hold ends.
    while (performance.now() < end - 400) {
      expect(await rival.tryAcquire(soon(300)).catch(() => undefined)).toBeUndefined();
      await sleep(20);
    }
    await sleep(end - performance.now());
    await server(2).restart({ keepData: false });
    expect(await holder.renew?.(ttl)).toBe(false);
    await until(async () => (await rival.tryAcquire(soon())) !== undefined);
  });

  test("one after the other with that delay, a long hold survives all of them", async () => {
    const locks = await createLocks(open());
    const rival = await createLocks(open());
    const key = name();
    const short = 900;
    const lock = await locks.acquire(key, { ttl: short });
    for (let n = 0; n < 5; n++) {
      await server(n).kill();
      await sleep(short);
      await server(n).restart({ keepData: false });
      // Renewals take part of it again.
      await until(async () => (await holders(key))[n] === true, 5_000);
      expect(await rival.tryAcquire(key)).toBeUndefined();
      lock.throwIfLost();
    }
    expect(await lock.release()).toBe(true);
  });
});

test("a quorum that lost a minority's data gives larger tokens all the same", async () => {
  const locks = await createLocks(open());
  const key = name();
  let last = 0n;
  for (let n = 0; n < 5; n++) {
    const token = await locks.withLock(key, async (lock) => lock.fencingToken);
    expect(token).toBeGreaterThan(last);
    last = token;
    await server(n).restart({ keepData: false });
  }
});

describe("the URL", () => {
  const emit = () => {};
  const create = (url: string, beside: object = {}) => createProvider({ url, ...beside }, { emit });

  test("opens a quorum, with options in its query or beside it", async () => {
    const locks = await createLocks(`${group.url}?namespace=q:&memberTimeout=500`);
    const key = name();
    await locks.withLock(key, async () => {
      const values = await Promise.all(group.nodes.map(({ client }) => client.get(`q:${key}`)));
      expect(values.every((value) => value !== null)).toBe(true);
    });
    expect(locks.guarantees).toMatchObject({ exclusion: "quorum", order: "none", waiting: "poll" });
    await locks.close();
    const other = create(group.url, { namespace: "q:", memberTimeout: 500 });
    await other.connect?.();
    await other.close?.();
  });

  test("refuses what is no quorum", () => {
    expect(() => create("redis+quorum://a,b")).toThrow(/three different servers/);
    expect(() => create("redis+quorum://a,b,b")).toThrow(/three different servers/);
    expect(() => create("redis+quorum://a,b,c/name")).toThrow(/number of a database/);
    expect(() => create("redis+quorum://a,b,c?order=fifo")).toThrow(/order/);
    expect(() => create("redis+quorum://a,b,c", { replicas: 1 })).toThrow(/replicas/);
    expect(() => create("redis+quorum://a,b,c?memberTimeout=soon")).toThrow(/memberTimeout/);
    expect(() => create("redis://a,b,c")).toThrow(/redis\+quorum:/);
  });

  test("keeps its password out of errors", async () => {
    const provider = redisQuorum({ url: "redis+quorum://:hunter2@127.0.0.1:1,127.0.0.1:2,127.0.0.1:3" });
    const failed = await provider.connect?.().catch((error: unknown) => inspect(error, { depth: 10 }));
    expect(failed).toContain("127.0.0.1:2");
    expect(failed).not.toContain("hunter2");
    await provider.close?.();
  });
});
