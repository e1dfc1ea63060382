import { createLocks, isRetryable, type LeaseClaim, LockBackendError } from "@dlock/core";
import { type RedisLink, startRedis } from "@dlock/testbed";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

const redis = await startRedis();
afterAll(() => redis.stop());
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

const unhandled: unknown[] = [];
beforeAll(() => {
  process.on("unhandledRejection", (reason) => unhandled.push(reason));
  process.on("uncaughtException", (error) => unhandled.push(error));
});
afterEach(() => expect(unhandled).toEqual([]));

async function linked() {
  const link = await redis.link();
  closing.push(() => link.close());
  return { link, ...open(link.url) };
}

const valueOf = (key: string) => redis.client.get(`dlock:${key}`);
const linesOf = async (key: string) => redis.client.keys(`{*}?dlock:queue:2:dlock:${key}`);

/** held, not held, or nobody knows. */
type Outcome = "held" | "not held" | "unknown";

async function outcomeOf(attempt: Promise<bigint | undefined>): Promise<Outcome> {
  try {
    return (await attempt) === undefined ? "not held" : "held";
  } catch (error) {
    expect(error).toBeInstanceOf(LockBackendError);
    expect(isRetryable(error)).toBe(true);
    return "unknown";
  }
}

const faults = {
  freeze: (link: RedisLink) => link.freeze(),
  "freeze requests": (link: RedisLink) => link.freeze("requests"),
  "freeze replies": (link: RedisLink) => link.freeze("replies"),
  cut: (link: RedisLink) => link.cut(),
  delay: (link: RedisLink) => link.delay(60),
  dropReplies: (link: RedisLink) => link.dropReplies(),
  truncate: (link: RedisLink) => link.truncate(),
};

/** Before the call, and while it is on its way: a script takes a fraction of a millisecond. */
const moments = ["before", "during", "connecting"] as const;

describe.each(Object.keys(faults) as (keyof typeof faults)[])("a link that breaks by: %s", (fault) => {
  const broken: Outcome[] = ["held", "unknown"];

  for (const moment of moments) {
    test(`acquire (${moment}): says held only when it is, and nothing is left after the release`, async () => {
      const { link, claim } = await linked();
      const key = name();
      if (moment !== "connecting") await win(claim(name()));
      if (moment === "before") faults[fault](link);
      const ours = claim(key);
      const since = performance.now();
      const attempt = outcomeOf(ours.tryAcquire(soon(400)));
      if (moment !== "before") faults[fault](link);
      const outcome = await attempt;
      expect(performance.now() - since).toBeLessThan(650);
      expect(broken).toContain(outcome);
      if (outcome === "held") expect(await valueOf(key)).toMatch(/^dlock2\./);
      const releasing = ours.release().catch(() => {});
      link.heal();
      await releasing;
      await sleep(Math.max(0, 450 - (performance.now() - since)));
      await ours.release();
      await sleep(60);
      expect(await valueOf(key)).toBeNull();
      expect(await linesOf(key)).toEqual([]);
      const next = open(redis.url).claim(key);
      expect(await next.tryAcquire(soon())).toBeTypeOf("bigint");
    });
  }

  test("wait: the waiter is served when the link is back, and the line goes on", async () => {
    const { link, claim } = await linked();
    const key = name();
    const held = open(redis.url).claim(key);
    await win(held);
    const [waiter, behind] = [claim(key, { ttl: 1_000 }), open(redis.url).claim(key, { ttl: 1_000 })];
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    expect(await behind.tryAcquire(soon())).toBeUndefined();
    const turns = Promise.all([served(waiter), served(behind)]);
    faults[fault](link);
    await sleep(30);
    await held.release();
    await sleep(200);
    link.heal();
    expect(await took(turns)).toBeLessThan(4_000);
    expect(await linesOf(key)).toEqual([]);
  });

  test("renew: says alive only when the lease was restarted, gone only when it is", async () => {
    const { link, claim } = await linked();
    const key = name();
    const ours = claim(key, { ttl: 900 }) as LeaseClaim;
    await win(ours);
    const silence = sleep(1_000).then(() => "unknown");
    const renewing = ours.renew(900).then(
      (alive) => alive,
      (error: unknown) => {
        expect(isRetryable(error)).toBe(true);
        return "unknown";
      },
    );
    faults[fault](link);
    const answer = await Promise.race([renewing, silence]);
    expect([true, "unknown"]).toContain(answer);
    link.heal();
    await sleep(1_000);
    if (fault !== "delay") await until(async () => (await valueOf(key)) === null, 1_000);
    await until(async () => (await ours.renew(900).catch(() => "unknown")) === false, 2_000);
    expect(await valueOf(key)).toBeNull();
  });

  test("release: the lock is free at the latest by its ttl, and a later holder is left alone", async () => {
    const { link, claim } = await linked();
    const key = name();
    const ours = claim(key, { ttl: 700 });
    await win(ours);
    const releasing = ours.release().then(
      () => "confirmed",
      (error: unknown) => {
        expect(isRetryable(error)).toBe(true);
        return "unknown";
      },
    );
    faults[fault](link);
    const next = open(redis.url).claim(key);
    const since = performance.now();
    await win(next);
    expect(performance.now() - since).toBeLessThan(900);
    const value = await valueOf(key);
    link.heal();
    await releasing;
    await ours.release().catch(() => {});
    await sleep(30);
    expect(await valueOf(key)).toBe(value);
  });
});

async function served(claim: ReturnType<ReturnType<typeof open>["claim"]>): Promise<void> {
  const over = new AbortController();
  for (;;) {
    const token = await claim.tryAcquire(soon(500)).catch(() => "unknown");
    if (typeof token === "bigint") return claim.release();
    await (token === "unknown" ? sleep(20) : claim.waitTurn?.(over.signal));
  }
}

describe("a request that is late", () => {
  test("takes nothing when a stopped server goes on after the caller and its connection are gone", async () => {
    const { claim, provider } = open(redis.url);
    await provider.connect();
    const key = name();
    const attempt = claim(key);
    await redis.server?.pause();
    expect(await outcomeOf(attempt.tryAcquire(soon(200)))).toBe("unknown");
    await provider.close();
    await redis.server?.resume();
    await sleep(100);
    expect(await valueOf(key)).toBeNull();
  });

  test("joins no line either", async () => {
    const key = name();
    await win(open(redis.url).claim(key));
    const { link, claim, provider } = await linked();
    const first = claim(key);
    expect(await first.tryAcquire(soon())).toBeUndefined();
    await first.release();
    link.freeze();
    expect(await outcomeOf(claim(key).tryAcquire(soon(100)))).toBe("unknown");
    link.heal();
    await sleep(100);
    expect(await linesOf(key)).toEqual([]);
    await provider.close();
  });
});

test("SCRIPT FLUSH costs nothing but a second command", async () => {
  const locks = await createLocks(open(redis.url).provider);
  for (let round = 0; round < 3; round++) {
    await redis.client.script("FLUSH");
    await Promise.all(Array.from({ length: 5 }, () => locks.withLock(name(), () => redis.client.script("FLUSH"))));
  }
});

test("when the memory is full, newcomers fail, whoever holds keeps and releases, and the line moves on", async () => {
  const full = await startRedis({ appendonly: "no" });
  closing.push(() => full.stop());
  const { claim, notices } = open(full.url);
  const [held, wanted] = [claim(name()) as LeaseClaim, name()];
  await win(held);
  const blocker = claim(wanted);
  await win(blocker);
  const waiter = open(full.url).claim(wanted);
  expect(await waiter.tryAcquire(soon())).toBeUndefined();
  await full.client.config("SET", "maxmemory", "1");
  expect(await outcomeOf(claim(name()).tryAcquire(soon()))).toBe("unknown");
  expect(await held.renew(20_000)).toBe(true);
  await held.release();
  await blocker.release();
  expect(await waiter.tryAcquire(soon())).toBeTypeOf("bigint");
  await waiter.release();
  expect(await full.client.keys(`dlock:*`)).toEqual([]);
  await full.client.config("SET", "maxmemory", "0");
  await win(claim(name()));
  expect(notices).toEqual([]);
});

test("a server that cannot save refuses for a while: waiters ride it out, and a release is repeated", async () => {
  const own = await startRedis({ "enable-protected-configs": "yes" });
  closing.push(() => own.stop());
  const locks = await createLocks(open(own.url).provider);
  const lock = await locks.acquire("held");
  const waiting = locks.acquire("held");
  await until(async () => (await locks.inspect("held")).waiters.length === 1);
  await own.client.config("SET", "save", "3600 1");
  // Nobody can write there.
  await own.client.config("SET", "dir", "/proc");
  await own.client.bgsave();
  const failed = async () => /rdb_last_bgsave_status:err/.test(await own.client.info("persistence"));
  await until(failed);
  await expect(locks.tryAcquire("new")).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
  const released = lock.release();
  await own.client.config("SET", "stop-writes-on-bgsave-error", "no");
  expect(await released).toBe(true);
  expect(await (await waiting).release()).toBe(true);
});

test("warns at connect when locks can be evicted, unless the user may not look", async () => {
  const server = await startRedis({ maxmemory: "100mb", "maxmemory-policy": "allkeys-lru" });
  closing.push(() => server.stop());
  const warned = open(server.url);
  await warned.provider.connect();
  await until(() => warned.notices.length > 0);
  expect(warned.notices).toMatchObject([{ code: "EVICTION" }]);
  await server.client.acl("SETUSER", "blind", "reset", "on", ">secret", "~*", "&*", "+@all", "-info", "-config");
  const blind = open(server.url.replace("//", "//blind:secret@"));
  await win(blind.claim(name()));
  expect(blind.notices).toEqual([]);
});

test("a release after an attempt that nobody answered is sent every time: the attempt may come late", async () => {
  const { link, claim, provider } = await linked();
  await provider.connect();
  const attempt = claim(name(), { join: false });
  link.dropReplies();
  await expect(attempt.tryAcquire(soon(300))).rejects.toBeInstanceOf(LockBackendError);
  link.cut();
  await sleep(50);
  link.heal();
  await attempt.release();
  expect((await redis.countCommands(() => attempt.release()))["evalsha"]).toBe(1);
});

test("a downgrade whose answer was lost goes on as a reader's hold, and is confirmed when it is asked for again", async () => {
  const [{ link, claim }, other] = [await linked(), open(redis.url)];
  const key = name();
  const [holder, first] = [claim(key), other.claim(name())];
  // From here on the server knows the script, and its first answer is the one that is lost.
  await win(first);
  await first.downgrade?.();
  await first.release();
  const token = await win(holder);
  link.dropReplies();
  const lost = expect(holder.downgrade?.()).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
  await sleep(100);
  link.cut();
  await lost;
  link.heal();
  expect(await holder.renew?.(20_000)).toBe(true);
  const reader = other.claim(key, { mode: "shared", join: false });
  expect(await reader.tryAcquire(soon())).toBeTypeOf("bigint");
  expect(await holder.downgrade?.()).toBe(true);
  expect(await holder.tryAcquire(soon())).toBe(token);
  await Promise.all([holder.release(), reader.release()]);
  expect(await valueOf(key)).toBeNull();
});

test("tokens grow through FLUSHALL, and where the counter is ahead of the clock, also beyond 2^53", async () => {
  const { claim } = open(redis.url);
  const key = name();
  let last = 0n;
  const next = async () => {
    const one = claim(key);
    const token = await win(one);
    expect(token).toBeGreaterThan(last);
    last = token;
    await one.release();
  };
  await next();
  await redis.client.flushall();
  await next();
  const [fence = ""] = await redis.client.keys("{*}?dlock:fence");
  for (const seed of [2n ** 52n, 2n ** 53n - 2n, 2n ** 53n + 11n, 2n ** 60n]) {
    await redis.client.set(fence, String(seed));
    for (let round = 0; round < 3; round++) await next();
    expect(last).toBe(seed + 3n);
  }
  await redis.client.flushall();
});

/** More of them by DLOCK_REDIS_PARTITIONS=50. */
const partitions = Number(process.env["DLOCK_REDIS_PARTITIONS"] ?? 5);

test(
  `a holder behind a frozen link is told before the second holder's acquire returns (${partitions} runs)`,
  { timeout: 300_000 },
  async () => {
    let [least, most] = [Number.POSITIVE_INFINITY, 0];
    const run = async () => {
      const { link, provider } = await linked();
      const [here, there] = [await createLocks(provider), await createLocks(open(redis.url).provider)];
      const key = name();
      const lock = await here.acquire(key, { ttl: 1_500 });
      let toldAt = Number.POSITIVE_INFINITY;
      lock.signal.addEventListener("abort", () => (toldAt = performance.now()));
      await sleep(100 + Math.random() * 600);
      link.freeze();
      const second = await there.acquire(key);
      const enteredAt = performance.now();
      expect(toldAt).toBeLessThanOrEqual(enteredAt);
      expect(second.fencingToken).toBeGreaterThan(lock.fencingToken);
      [least, most] = [Math.min(least, enteredAt - toldAt), Math.max(most, enteredAt - toldAt)];
      link.heal();
      await second.release();
      await Promise.all([here.close(), there.close()]);
    };
    for (let done = 0; done < partitions; done += 5) {
      await Promise.all(Array.from({ length: Math.min(5, partitions - done) }, run));
    }
    console.log(`told ${least.toFixed(1)} to ${most.toFixed(1)} ms before the second holder`);
  },
);
