import { inspect } from "node:util";
import { createLocks, LockConfigError } from "@dlock/core";
import { createProvider, redisProvider, redisQuorum } from "@dlock/redis";
import { startRedis, startRedisCluster, startRedisSentinel } from "@dlock/testbed";
import { afterAll, describe, expect, test } from "vitest";

/** An @ in one is told from that before a host only where it is percent-encoded. */
const secrets = ["hunter2", "pa@hunter2", "pa/hunter2", "pa?hunter2", "pa&hunter2", "pa:hunter2", "12345:hunter2"];
const [redis, cluster, sentinel] = await Promise.all([startRedis(), startRedisCluster(), startRedisSentinel()]);
afterAll(() => Promise.all([redis, cluster, sentinel].map((server) => server.stop())));

function everyView(error: unknown): string {
  const all = inspect(error, { depth: 10, showHidden: true, maxStringLength: null });
  return [all, JSON.stringify(error), String(error)].join("\n");
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}

describe.each(secrets)("a refusal does not show %s", (secret) => {
  test.each(
    ["redis", "rediss", "redis+sentinel", "redis+cluster", "redis+quorum"].flatMap((scheme) => [
      `${scheme}://me:${secret}`,
      `${scheme}://:${secret}`,
      `${scheme}://me:${secret}/1`,
      `${scheme}://a,b:${secret}/x/y/z`,
      `${scheme}://me:${secret}@h/a/b/c`,
      `${scheme}://me:${secret}@h:99999`,
      `${scheme}://me:${secret}%zz@h`,
      `${scheme}:me:${secret}@h`,
      `${scheme}:${secret}`,
      `${scheme}://h1,h2,h3/1?auth=${secret}`,
      `${scheme}://h1,h2,h3/1?password=${secret}`,
      `${scheme}://h1,h2,h3/1?apikey=${secret}&tls=true`,
      `${scheme}://h1,h2,h3/1?tls={"key":"${secret}"}`,
      `${scheme}://h1,h2,h3/1?tls=${encodeURIComponent(`{"key":"${secret}"`)}`,
    ]),
  )("in %s", async (url) => {
    const encoded = url.replaceAll(secret, encodeURIComponent(secret));
    for (const written of secret.includes("@") ? [encoded] : [url, encoded]) {
      for (const open of [
        () => createProvider({ url: written }, { emit: () => {} }),
        () => createProvider({ url: written, speed: 1 }, { emit: () => {} }),
        () => redisProvider({ url: written, speed: 1 } as { url: string }),
        () => redisQuorum({ url: written }, { memberTimeout: 0 }),
        () => createLocks({ quorum: ["memory:", "memory:", written] }, { require: { exclusion: "consensus" } }),
      ]) {
        const error = await failureOf(open);
        expect(error).toBeInstanceOf(LockConfigError);
        expect(everyView(error)).not.toContain("hunter2");
        expect(decodeURIComponent(String((error as LockConfigError).value))).not.toContain("hunter2");
      }
    }
  });

  test("in options of any kind", async () => {
    for (const entry of [
      { sentinelPassword: [secret] },
      { sentinelPassword: Buffer.from(secret) },
      { sentinelUsername: { secret } },
      { tls: secret },
      { password: secret },
      { tls: { key: secret }, speed: 1 },
      { order: { key: secret } },
      { prefix: [secret] },
      { [secret]: 1 },
    ]) {
      const error = await failureOf(() =>
        createProvider({ url: "redis+sentinel://h/m", ...entry }, { emit: () => {} }),
      );
      expect(everyView(error)).not.toContain("hunter2");
    }
  });
});

describe("a server that refuses the credentials is quoted without them", () => {
  const wrong = (url: string) => url.replace("//", "//guest:wr0ng-hunter2@");
  test.each([
    ["one server", "LOCK_CONFIG", () => ({ url: wrong(redis.url) })],
    ["a cluster", "LOCK_CONFIG", () => ({ url: wrong(cluster.url) })],
    ["Sentinel's primary", "LOCK_CONFIG", () => ({ url: wrong(sentinel.url) })],
    [
      "Sentinel itself",
      "LOCK_BACKEND",
      () => ({ url: sentinel.url, sentinelUsername: "guest", sentinelPassword: "wr0ng-hunter2" }),
    ],
    ["a quorum", "LOCK_BACKEND", () => ({ quorum: [1, 2, 3].map((db) => `${wrong(redis.url)}/${db}`) })],
  ] as const)("%s", async (_, code, entry) => {
    const events: unknown[] = [];
    const hear = (event: unknown) => void events.push(event);
    const on = { warning: hear, backendFailed: hear, abandoned: hear, releaseFailed: hear };
    const locks = await createLocks(entry(), { on, backendTimeout: 1_500 });
    const errors = [
      await failureOf(() => locks.acquire("key")),
      await failureOf(() => locks.tryAcquire("key")),
      await failureOf(() => createLocks(entry(), { connect: true, backendTimeout: 1_500 })),
    ];
    for (const error of errors) expect(error).toMatchObject({ code });
    const seen = inspect([errors, events, locks], { depth: 12, showHidden: true, maxStringLength: null });
    expect(seen).not.toContain("hunter2");
    await locks.close();
  });
});
