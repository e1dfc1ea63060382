import { createLocks, LockBackendError, LockConfigError } from "@dlock/core";
import { startRedis } from "@dlock/testbed";
import { createProvider, redisProvider, redisQuorum } from "@dlock/redis";
import { Cluster, Redis } from "ioredis";
import { inspect } from "node:util";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { parseUrl } from "../src/url.js";
import { name, opener, soon, until, win } from "./side.js";

const redis = await startRedis();
afterAll(() => redis.stop());
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));
const emit = () => {};

/** What the driver is told for a URL. */
function told(url: string, beside: object = {}) {
  const client = parseUrl({ url, ...beside }).source.open();
  const { options } = client;
  client.disconnect();
  return options as Record<string, unknown>;
}

describe("URLs", () => {
  test("name a server, a user, a database and TLS", () => {
    expect(told("redis://localhost")).toMatchObject({
      host: "localhost",
      port: 6379,
      db: 0,
      username: null,
      password: null,
    });
    expect(told("redis://me:p%40ss:w%2Ford@[::1]:7000/3")).toMatchObject({
      host: "::1",
      port: 7000,
      username: "me",
      password: "p@ss:w/ord",
    });
    expect(told("redis://:only@h")).toMatchObject({ username: null, password: "only" });
    expect(told("REDISS://h:1").tls).toEqual({});
    expect(told("rediss://h", { tls: { ca: "x" } }).tls).toEqual({ ca: "x" });
    expect(told("redis://h?tls=true").tls).toEqual({});
  });

  test("open connections that keep no commands for later", () => {
    expect(told("redis://localhost")).toMatchObject({
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      socketTimeout: 3_000,
      connectTimeout: 3_000,
      commandTimeout: 4_000,
      retryStrategy: null,
    });
  });

  test("name sentinels and what they watch", () => {
    const options = told("redis+sentinel://me:secret@a,b:1,[::2]:3/main/4", { sentinelPassword: "other" });
    expect(options).toMatchObject({
      sentinels: [
        { host: "a", port: 26379 },
        { host: "b", port: 1 },
        { host: "::2", port: 3 },
      ],
      name: "main",
      username: "me",
      password: "secret",
      sentinelPassword: "other",
    });
    expect(told("redis+sentinel://a/main?tls=true")).toMatchObject({
      tls: {},
      sentinelTLS: {},
      enableTLSForSentinelMode: true,
    });
  });

  test("name nodes of a cluster", () => {
    const { source } = parseUrl({ url: "redis+cluster://:secret@a:7000,b" });
    const cluster = source.open() as Cluster;
    expect(cluster.options.redisOptions).toMatchObject({
      password: "secret",
      maxRetriesPerRequest: 0,
      socketTimeout: 3_000,
    });
    expect(cluster.options.enableOfflineQueue).toBe(false);
    cluster.disconnect();
  });

  test.each([
    "redis:",
    "redis:/localhost",
    "redis://",
    "redis://me:hunter2@a,b",
    "redis://me:hunter2@h/x",
    "redis://me:hunter2@h/1/2",
    "redis://me:hunter2@h:0",
    "redis://me:hunter2@h:99999",
    "redis://me:hunter2@h?tls=yes",
    "redis://me:hunt%er2@h",
    "redis+sentinel://me:hunter2@h",
    "redis+cluster://me:hunter2@h/1",
    "redis+quorum://me:hunter2@h",
    "http://me:hunter2@h",
  ])("are refused without showing a password: %s", (url) => {
    const error = caught(() => createProvider({ url }, { emit }));
    expect(error).toBeInstanceOf(LockConfigError);
    expect(error).toMatchObject({ field: "url" });
    expect(inspect(error, { depth: 10 })).not.toMatch(/hunter2|hunt%er2/);
  });

  test("carry options in their query; where both say something, they have to say the same", () => {
    const { guarantees } = createProvider({ url: "redis://h?order=none&replicas=1&namespace=" }, { emit });
    expect(guarantees.order).toBe("none");
    const url = "redis://h?order=none&namespace=a:&replicas=1&replicaTimeout=9";
    const same = { order: "none", namespace: "a:", replicas: 1, replicaTimeout: 9 };
    expect(createProvider({ url, ...same }, { emit }).guarantees.order).toBe("none");
    for (const [field, value] of Object.entries({ order: "fifo", namespace: "", replicas: 0, replicaTimeout: 8 }))
      expect(caught(() => createProvider({ url, ...same, [field]: value }, { emit }))).toMatchObject({ field });
    const quorum = "redis+quorum://a,b,c?namespace=a:&memberTimeout=9";
    createProvider({ url: quorum, namespace: "a:", memberTimeout: 9 }, { emit });
    for (const [field, value] of Object.entries({ namespace: "b:", memberTimeout: 8 }))
      expect(caught(() => createProvider({ url: quorum, [field]: value }, { emit }))).toMatchObject({ field });
    for (const twice of ["redis://h?namespace=a&namespace=a", "redis+quorum://a,b,c?namespace=a&namespace=b"])
      expect(caught(() => createProvider({ url: twice }, { emit }))).toMatchObject({
        field: "url",
        value: "namespace",
      });
    expect(() => createProvider({ url: "redis://h?replicas=many" }, { emit })).toThrow("replicas: NaN");
    expect(() => createProvider({ url: "redis://h?ordre=none" }, { emit })).toThrow("ordre");
  });

  test("take no prefix, in any place, and say what to write instead", () => {
    const client = new Redis({ lazyConnect: true });
    const odd = { prefix: "app:" } as object;
    const places = [
      () => createProvider({ url: "redis://h", ...odd }, { emit }),
      () => createProvider({ url: "redis://h?prefix=app:" }, { emit }),
      () => createProvider({ url: "redis+cluster://h?prefix=app:" }, { emit }),
      () => createProvider({ url: "redis+sentinel://h/m?prefix=app:" }, { emit }),
      () => createProvider({ url: "redis+quorum://a,b,c", ...odd }, { emit }),
      () => createProvider({ url: "redis+quorum://a,b,c?prefix=app:" }, { emit }),
      () => redisProvider({ url: "redis://h" }, odd),
      () => redisProvider({ url: "redis://h", ...odd }),
      () => redisProvider({ url: "redis://h?prefix=app:" }),
      () => redisProvider(client, odd),
      () => redisQuorum({ url: "redis+quorum://a,b,c" }, odd),
      () => redisQuorum({ url: "redis+quorum://a,b,c", ...odd }),
      () => redisQuorum({ url: "redis+quorum://a,b,c?prefix=app:" }),
    ];
    for (const place of places) {
      const error = caught(place);
      expect(error).toBeInstanceOf(LockConfigError);
      expect((error as Error).message).toMatch(/createLocks\(…, \{ prefix \}\).*"namespace" in Redis/);
    }
  });

  test("do not say tls=false where there is TLS", () => {
    expect(caught(() => createProvider({ url: "rediss://h?tls=false" }, { emit }))).toMatchObject({ field: "url" });
    for (const url of ["redis://h?tls=false", "redis+quorum://a,b,c?tls=false"])
      expect(caught(() => createProvider({ url, tls: {} }, { emit }))).toMatchObject({ field: "url" });
    createProvider({ url: "redis://h?tls=false" }, { emit });
  });

  test("work through createLocks", async () => {
    const locks = await createLocks(`${redis.url}?namespace=mine:`);
    const key = name();
    await locks.withLock(key, async () => expect(await redis.client.exists(`mine:${key}`)).toBe(1));
    await locks.close();
  });
});

describe("options that cannot work are refused by name", () => {
  test.each([
    ["namespace", 1],
    ["namespace", "a\0"],
    ["namespace", "a\ud800"],
    ["order", "lifo"],
    ["replicas", -1],
    ["replicas", 1.5],
    ["replicaTimeout", 0],
    ["emit", "loudly"],
  ])("%s: %s", (field, value) => {
    expect(caught(() => redisProvider({ url: "redis://h" }, { [field]: value }))).toMatchObject({
      code: "LOCK_CONFIG",
      field,
    });
  });

  test("unknown ones too", () => {
    expect(caught(() => redisProvider({ url: "redis://h" }, { namespaces: "" } as object))).toMatchObject({
      code: "LOCK_CONFIG",
    });
    expect(caught(() => redisProvider({ url: "redis://h", user: "x" } as { url: string }))).toMatchObject({
      code: "LOCK_CONFIG",
    });
    expect(caught(() => createProvider({ url: "redis://h", ttl: 1 }, { emit }))).toMatchObject({ code: "LOCK_CONFIG" });
    expect(caught(() => createProvider({ url: "redis://h", tls: "yes" }, { emit }))).toMatchObject({ field: "tls" });
    expect(caught(() => redisProvider(undefined as never))).toMatchObject({ field: "where" });
  });
});

describe("a client that is handed in", () => {
  const lent = (options: object) => {
    const client = new Redis({ port: redis.port, lazyConnect: true, ...options });
    closing.push(async () => client.disconnect());
    return client;
  };

  test("is never used, and left alone when the provider closes", async () => {
    const client = lent({ maxRetriesPerRequest: null });
    const { claim, provider } = open(client);
    await win(claim(name()));
    expect(client.status).toBe("wait");
    await client.connect();
    await provider.close();
    expect(await client.ping()).toBe("PONG");
  });

  test("may have a key prefix, which stays before the keys", async () => {
    const client = lent({ keyPrefix: "app:{x" });
    const { claim } = open(client, { namespace: "}" });
    const [held, waiter] = [claim("a"), claim("a")];
    await win(held);
    expect(await redis.client.exists("app:{x}a")).toBe(1);
    expect(await client.set("}a", "theirs", "PX", 1_000, "NX")).toBeNull();
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    await held.release();
    await win(waiter);
  });

  test("may queue and resend for its own purposes: our connections do not", async () => {
    const { claim } = open(
      lent({ enableOfflineQueue: true, autoResendUnfulfilledCommands: true, maxRetriesPerRequest: 20 }),
    );
    await win(claim(name()));
    const clients = String(await redis.client.client("LIST")).split("\n").length;
    expect(clients).toBeGreaterThan(1);
  });

  test.each([
    [{ readOnly: true }, "replica"],
    [{ monitor: true }, "monitor"],
    [{ sentinels: [{ host: "127.0.0.1", port: 1 }], name: "x", role: "slave" }, "replica"],
  ])("is refused with a reason: %j", (options, reason) => {
    expect(() => redisProvider(lent(options))).toThrow(reason);
  });

  test("of another version is refused", () => {
    const old = { status: "ready", options: { host: "h" }, duplicate: () => old };
    expect(() => redisProvider(old as never)).toThrow("version");
  });
});

describe("a server that cannot be reached", () => {
  test("is an error of the first call that needs it, which says why and may be tried again", async () => {
    const { claim, provider } = open("redis://127.0.0.1:9");
    const error = await claim(name())
      .tryAcquire(soon())
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LockBackendError);
    expect(error).toMatchObject({ retryable: true, noEffect: true, cause: { code: "ECONNREFUSED" } });
    await expect(provider.connect()).rejects.toThrow("ECONNREFUSED");
  });

  test("that refuses the password is not tried again, and no error shows it", async () => {
    await redis.client.acl("SETUSER", "guest", "reset", "on", ">right", "~*", "&*", "+@all");
    const { claim } = open(redis.url.replace("//", "//guest:wr0ng-secret@"));
    const error = await claim(name())
      .tryAcquire(soon())
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "LOCK_CONFIG", field: "password" });
    expect((error as Error).message).toContain("WRONGPASS");
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("wr0ng-secret");
  });

  test("that is another kind of key is said as it is", async () => {
    const key = name();
    await redis.client.hset(`dlock:${key}`, "a", "b");
    const error = await open(redis.url)
      .claim(key)
      .tryAcquire(soon())
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "LOCK_BACKEND", retryable: false, key });
    expect((error as Error).message).toContain("WRONGTYPE");
  });

  test("comes back without anybody's help", async () => {
    const { claim } = open(redis.url);
    await win(claim(name()));
    await redis.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    const one = claim(name());
    await until(() =>
      one.tryAcquire(soon()).then(
        (token) => token !== undefined,
        () => false,
      ),
    );
  });
});

test("a closed provider says so, and connects to nothing any more", async () => {
  const { claim, provider } = open(redis.url);
  await provider.close();
  await expect(claim(name()).tryAcquire(soon())).rejects.toThrow("closed");
  await expect(provider.inspect(name())).rejects.toThrow("closed");
});

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
