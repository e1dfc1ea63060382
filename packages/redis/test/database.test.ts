import { createLocks, type LeaseClaim, type Locks, type LocksOptions, LockConfigError } from "@dlock/core";
import { createProvider, redisProvider } from "@dlock/redis";
import { startRedis, startRedisCluster, startRedisQuorum, startRedisSentinel, type StartedRedis } from "@dlock/testbed";
import { Cluster, Redis } from "ioredis";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

const redis = await startRedis();
const replica = await startRedis();
const group = await startRedisQuorum(3);
const cluster = await startRedisCluster();
const sentinel = await startRedisSentinel();
afterAll(() => Promise.all([redis, replica, group, cluster, sentinel].map((server) => server.stop())));
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

/** What is in the database, without the counters of tokens. */
async function keysIn(server: StartedRedis, database: number): Promise<string[]> {
  const client = server.client.duplicate({ db: database });
  try {
    return (await client.keys("*")).filter((key) => !key.endsWith("}\0dlock:fence"));
  } finally {
    client.disconnect();
  }
}

const limited = ["reset", "on", ">secret", "~*", "&*", "+@all", "-select"];
const as = (user: string, url: string) => url.replace("//", `//${user}@`);
beforeEach(async () => {
  for (const { client } of [redis, ...group.nodes, sentinel.primary]) {
    await client.acl("SETUSER", "limited", ...limited);
    await client.flushall();
  }
});

async function locksAt(where: string | Parameters<typeof createLocks>[0], options: LocksOptions = {}): Promise<Locks> {
  const locks = await createLocks(where, options);
  closing.push(() => locks.close());
  return locks;
}

/** Refused when it connects, by the first call and every later one, at once, and nothing is written anywhere. */
async function expectRefused(where: string, reason: Record<string, unknown>): Promise<void> {
  await expect(createLocks(where, { connect: true })).rejects.toMatchObject(reason);
  const locks = await locksAt(where);
  for (const call of [
    () => locks.tryAcquire("k"),
    () => locks.acquire("k"),
    () => locks.withLock("k", () => undefined),
    () => locks.inspect("k"),
  ]) {
    const result = call();
    result.catch(() => {});
    expect(await took(result.catch(() => {}))).toBeLessThan(2_000);
    await expect(result).rejects.toMatchObject(reason);
  }
}

describe("a database that cannot be selected is refused", () => {
  test("because the server has fewer", async () => {
    await expectRefused(`${redis.url}/99`, { code: "LOCK_CONFIG", field: "database", value: 99 });
    expect(await keysIn(redis, 0)).toEqual([]);
  });

  test("because the user has no right to select: database 0 needs none", async () => {
    const refused = { code: "LOCK_CONFIG", field: "database", value: 3, message: expect.stringContaining("+select") };
    await expectRefused(`${as("limited:secret", redis.url)}/3`, refused);
    expect([...(await keysIn(redis, 0)), ...(await keysIn(redis, 3))]).toEqual([]);
    const locks = await locksAt(as("limited:secret", redis.url), { connect: true });
    await locks.withLock("k", async () => expect(await keysIn(redis, 0)).toEqual(["dlock:k"]));
  });

  test("because the server is a node of a cluster", async () => {
    const node = cluster.nodes[0] as StartedRedis;
    await expectRefused(`${node.url}/3`, { code: "LOCK_CONFIG", field: "database", message: /redis\+cluster:/ });
  });

  test("because the command has another name", async () => {
    const server = await startRedis({ "rename-command SELECT": "" });
    closing.push(() => server.stop());
    await expectRefused(`${server.url}/3`, { code: "LOCK_CONFIG", field: "database" });
  });

  test("behind sentinels", async () => {
    await expectRefused(`${as("limited:secret", sentinel.url)}/3`, {
      code: "LOCK_CONFIG",
      field: "database",
      value: 3,
    });
    await expectRefused(`${sentinel.url}/77`, { code: "LOCK_CONFIG", field: "database", value: 77 });
    const locks = await locksAt(`${sentinel.url}/3`);
    await locks.withLock("k", async () => expect(await keysIn(sentinel.primary, 3)).toEqual(["dlock:k"]));
  });

  test("where replicas have to acknowledge", async () => {
    await expectRefused(`${redis.url}/99?replicas=1`, { code: "LOCK_CONFIG", field: "database" });
  });

  test("by all forms in which a cluster, a query or an entry can name one", async () => {
    for (const url of [
      `${cluster.url}/3`,
      `${cluster.url}?db=3`,
      `${redis.url}?db=3`,
      `${sentinel.url}?db=3`,
      `${group.url}?db=3`,
    ])
      await expect(createLocks(url)).rejects.toBeInstanceOf(LockConfigError);
    for (const url of [cluster.url, redis.url, group.url])
      expect(() => createProvider({ url, db: 3 }, { emit() {} })).toThrow(LockConfigError);
    for (const end of ["/x", "/-1", "/1.5", "/3/4", "/3e1"])
      await expect(createLocks(redis.url + end)).rejects.toBeInstanceOf(LockConfigError);
  });
});

describe("of a quorum", () => {
  test("the members work in the database that the URL names", async () => {
    const locks = await locksAt(`${group.url}/3`, { connect: true });
    await locks.withLock("k", async () => {
      for (const node of group.nodes) expect([await keysIn(node, 0), await keysIn(node, 3)]).toEqual([[], ["dlock:k"]]);
    });
  });

  test("a member that cannot select it counts as failed, and is named in a warning", async () => {
    const [one, two] = group.nodes as [StartedRedis, StartedRedis];
    for (const node of group.nodes.slice(1)) await node.client.acl("SETUSER", "limited", "+select");
    const warnings: string[] = [];
    const on = { warning: ({ message }: { readonly message: string }) => void warnings.push(message) };
    const locks = await locksAt(`${as("limited:secret", group.url)}/3`, { on });
    await locks.withLock("k", async () => {
      expect(await keysIn(one, 0)).toEqual([]);
      expect(await keysIn(two, 3)).toEqual(["dlock:k"]);
    });
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`^${one.host}:${one.port}: database: 3 .*\\+select`))]);
  });

  test("too few members that can are an error that names the others, which does not wait", async () => {
    const [, two] = group.nodes as [StartedRedis, StartedRedis];
    await group.nodes[2]?.client.acl("SETUSER", "limited", "+select");
    const refused = {
      code: "LOCK_BACKEND",
      retryable: false,
      message: expect.stringContaining(`${two.host}:${two.port} (database: 3`),
    };
    await expect(createLocks(`${as("limited:secret", group.url)}/3`, { connect: true })).rejects.toMatchObject(refused);
    const locks = await locksAt(`${as("limited:secret", group.url)}/3`);
    await expect(locks.acquire("k")).rejects.toMatchObject(refused);
    for (const node of group.nodes) expect(await keysIn(node, 0)).toEqual([]);
  });
});

describe("a client that is lent", () => {
  const lent = (options: object = {}) => {
    const client = new Redis({ port: redis.port, lazyConnect: true, ...options });
    client.on("error", () => {});
    closing.push(async () => client.disconnect());
    return client;
  };
  const expectIn = async (client: Redis, database: number) => {
    const { claim } = open(client);
    const key = name();
    await win(claim(key));
    expect(await keysIn(redis, database)).toContain(`dlock:${key}`);
    // Also on connections that are made later.
    await redis.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    const later = claim(name());
    await until(() => later.tryAcquire(soon()).then(Boolean, () => false));
    for (let other = 0; other < 16; other++) if (other !== database) expect(await keysIn(redis, other)).toEqual([]);
  };

  test("has its locks in the database of its options", async () => expectIn(lent({ db: 2 }), 2));

  test("has its locks in the database that its application selected, before or after it was connected", async () => {
    const client = lent({ db: 2 });
    await client.select(5);
    await expectIn(client, 5);
    await redis.client.flushall();
    const waiting = lent();
    void waiting.select(6);
    await expectIn(waiting, 6);
  });

  test("has its locks in the database that it comes back to when it is reconnecting", async () => {
    const client = lent({ retryStrategy: () => 300 });
    await client.select(7);
    await redis.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await until(() => client.status === "reconnecting");
    await expectIn(client, 7);
  });

  test("may be back in database 0, with a user who may not select", async () => {
    const client = lent({ db: 4 });
    await client.select(0);
    await expectIn(client, 0);
    await redis.client.flushall();
    await expectIn(lent({ username: "limited", password: "secret" }), 0);
  });

  test("keeps its locks where it was when it was lent, whatever it selects later", async () => {
    const client = lent();
    await client.select(5);
    const { claim } = open(client);
    await client.select(6);
    await win(claim("k"));
    expect([await keysIn(redis, 5), await keysIn(redis, 6)]).toEqual([["dlock:k"], []]);
  });

  test("is refused at connect when its database cannot be selected, also where the driver hid that from the application", async () => {
    const client = lent({ username: "limited", password: "secret", db: 3 });
    await client.connect();
    expect(await client.ping()).toBe("PONG");
    const { provider } = open(client);
    await expect(provider.connect()).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "database", value: 3 });
    expect([...(await keysIn(redis, 0)), ...(await keysIn(redis, 3))]).toEqual([]);
  });

  test("of a cluster may not name a database, in its options or at a node", () => {
    const { host, port } = cluster.nodes[0] as StartedRedis;
    const clusters = [
      new Cluster([{ host, port }], { lazyConnect: true, redisOptions: { db: 3 } }),
      new Cluster([{ host, port, db: 3 } as { host: string; port: number }], { lazyConnect: true }),
      new Cluster([`redis://${host}:${port}/3`], { lazyConnect: true }),
      new Cluster([`redis://${host}:${port}?db=3`], { lazyConnect: true }),
    ];
    for (const client of clusters) {
      closing.push(async () => client.disconnect());
      expect(() => redisProvider(client)).toThrow(LockConfigError);
    }
    const plain = new Cluster([`redis://${host}:${port}/0`], { lazyConnect: true, redisOptions: { db: 0 } });
    closing.push(async () => plain.disconnect());
    expect(() => redisProvider(plain)).not.toThrow();
  });
});

describe("rights that are withdrawn while locks are held, and a connection that is cut then", () => {
  test("the holder is told why, then that it is lost; waiters get the reason; nothing is in the wrong database", async () => {
    await redis.client.acl("SETUSER", "limited", "+select");
    const failures: unknown[] = [];
    const on = { renewFailed: ({ error }: { readonly error: unknown }) => void failures.push(error) };
    const url = `${as("limited:secret", redis.url)}/3`;
    const [locks, other] = [await locksAt(url, { on }), await locksAt(url)];
    const lock = await locks.acquire("k", { ttl: 900 });
    const waiting = other.acquire("k");
    waiting.catch(() => {});
    await until(async () => (await keysIn(redis, 3)).length === 2);
    await redis.client.acl("SETUSER", "limited", "-select");
    await redis.client.call("CLIENT", "KILL", "USER", "limited");
    await expect(waiting).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "database", value: 3 });
    await until(() => lock.signal.aborted, 1_500);
    expect(() => lock.throwIfLost()).toThrow();
    expect(failures[0]).toMatchObject({ code: "LOCK_CONFIG", field: "database", value: 3 });
    expect(await lock.release()).toBe(false);
    await sleep(100);
    expect(await keysIn(redis, 0)).toEqual([]);
    await redis.client.acl("SETUSER", "limited", "+select");
    await locks.withLock("k", async () => expect(await keysIn(redis, 3)).toContain("dlock:k"));
  });

  test("no command gets past the greeting, however many are sent while connections are cut", async () => {
    await redis.client.acl("SETUSER", "limited", "+select");
    const { claim } = open(`${as("limited:secret", redis.url)}/3`);
    const end = performance.now() + 1_500;
    const work = async () => {
      while (performance.now() < end) {
        const one = claim(name(), { join: false }) as LeaseClaim;
        await one.tryAcquire(soon(200)).catch(() => sleep(1));
        await one.renew(1_000).catch(() => {});
        await one.release().catch(() => {});
      }
    };
    const disturb = async () => {
      for (let round = 0; performance.now() < end; round++) {
        await redis.client.acl("SETUSER", "limited", round % 2 === 0 ? "-select" : "+select");
        await redis.client.call("CLIENT", "KILL", "USER", "limited");
        await sleep(15);
      }
    };
    await Promise.all([disturb(), ...Array.from({ length: 20 }, work)]);
    expect(await keysIn(redis, 0)).toEqual([]);
  });
});

test("nothing is sent between a connection that is made and the database that is selected, on however slow a link", async () => {
  const link = await redis.link();
  closing.push(() => link.close());
  link.delay(40);
  const { claim, provider } = open(`${as("limited:secret", link.url)}/3`);
  const refused = { code: "LOCK_CONFIG", field: "database" };
  const connected = provider.connect();
  connected.catch(() => {});
  const outcomes: Promise<unknown>[] = [connected];
  for (let n = 0; n < 120; n++) {
    outcomes.push(claim(name()).tryAcquire(soon()), claim(name(), { join: false, mode: "shared" }).tryAcquire(soon()));
    outcomes.push(provider.inspect(name()), provider.forceRelease(name()));
    for (const outcome of outcomes.slice(-4)) outcome.catch(() => {});
    await sleep(3);
  }
  for (const outcome of outcomes) await expect(outcome).rejects.toMatchObject(refused);
  expect([await keysIn(redis, 0), await keysIn(redis, 3)]).toEqual([[], []]);
});

describe("the other steps of a greeting", () => {
  test.each([
    ["a wrong password", "limited:wrong"],
    ["an unknown user", "nobody:secret"],
  ])("%s is refused by name, without the password", async (_, login) => {
    const refused = { code: "LOCK_CONFIG", field: "password", message: expect.stringContaining("WRONGPASS") };
    for (const url of [redis.url, `${redis.url}/3`, sentinel.url, cluster.url])
      await expectRefused(as(login, url), refused);
    const warnings: string[] = [];
    const on = { warning: ({ message }: { readonly message: string }) => void warnings.push(message) };
    await expect(createLocks(as(login, group.url), { connect: true, on })).rejects.toThrow(/WRONGPASS/);
    expect(warnings).toHaveLength(3);
    expect(warnings.join()).not.toMatch(/:wrong|:secret/);
  });

  test("a server that asks for a password none was given for", async () => {
    const server = await startRedis();
    closing.push(() => server.stop());
    await server.client.config("SET", "requirepass", "secret");
    await expectRefused(server.url, { code: "LOCK_CONFIG", field: "password" });
    // With protocol 2 nothing is refused before the database is selected.
    for (const db of [0, 3]) {
      const client = new Redis({ port: server.port, lazyConnect: true, protocol: 2, db });
      closing.push(async () => client.disconnect());
      await expect(open(client).provider.connect()).rejects.toMatchObject({ code: "LOCK_CONFIG", field: "password" });
    }
    await locksAt(server.url.replace("//", "//:secret@"), { connect: true });
  });

  test("one node of a cluster that does not let the user in is named in a warning, and the others go on", async () => {
    const [odd, ...others] = cluster.nodes as [StartedRedis, ...StartedRedis[]];
    for (const { client } of others) await client.acl("SETUSER", "limited", ...limited);
    await odd.client.acl("SETUSER", "limited", ...limited, "resetpass", ">other");
    const warnings: unknown[] = [];
    const on = { warning: (warning: unknown) => void warnings.push(warning) };
    const locks = await locksAt(as("limited:secret", cluster.url), { on, connect: true });
    const tries = await Promise.allSettled(Array.from({ length: 30 }, () => locks.withLock(name(), () => undefined)));
    expect(new Set(tries.map(({ status }) => status))).toEqual(new Set(["fulfilled", "rejected"]));
    const message = expect.stringMatching(new RegExp(`^${odd.host}:${odd.port}: password: .*WRONGPASS`)) as string;
    expect(warnings).toEqual([expect.objectContaining({ code: "REFUSED", message })]);
    for (const { client } of cluster.nodes) await client.acl("DELUSER", "limited");
  });

  test("one with protocol 2 or 3, of a user who may not say hello or info", async () => {
    for (const protocol of [2, 3] as const) {
      const client = new Redis({ port: redis.port, lazyConnect: true, protocol, db: 3 });
      closing.push(async () => client.disconnect());
      const key = name();
      await win(open(client).claim(key));
      expect(await keysIn(redis, 3)).toContain(`dlock:${key}`);
    }
    await redis.client.acl("SETUSER", "mute", ...limited, "+select", "-hello", "-info");
    await (await locksAt(`${as("mute:secret", redis.url)}/3`, { connect: true })).withLock("k", () => undefined);
    const client = new Redis({
      port: redis.port,
      lazyConnect: true,
      protocol: 2,
      username: "mute",
      password: "secret",
      db: 3,
    });
    closing.push(async () => client.disconnect());
    await win(open(client).claim(name()));
  });

  test("a replica, also one that takes writes, is no place for locks; once it is promoted it is", async () => {
    await replica.client.replicaof(redis.host, redis.port);
    await until(async () => (await replica.info("replication"))["master_link_status"] === "up");
    for (const readOnly of ["yes", "no"]) {
      await replica.client.config("SET", "replica-read-only", readOnly);
      const refused = {
        code: "LOCK_BACKEND",
        retryable: true,
        message: expect.stringContaining(`${redis.host}:${redis.port}`),
      };
      await expect(createLocks(replica.url, { connect: true })).rejects.toMatchObject(refused);
      await expect((await locksAt(replica.url)).tryAcquire("k")).rejects.toMatchObject(refused);
    }
    const waiting = (await locksAt(replica.url)).acquire("k");
    await sleep(100);
    await replica.client.replicaof("NO", "ONE");
    await (await waiting).release();
  });

  test("a subscription whose password does not count any more is announced, and its claims poll", async () => {
    await redis.client.acl("SETUSER", "limited", "+select");
    const { claim, notices } = open(as("limited:secret", redis.url));
    const key = name();
    const holder = open(redis.url).claim(key);
    await win(holder);
    const waiter = claim(key);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    await redis.client.acl("SETUSER", "limited", "resetpass", ">other");
    await redis.client.call("CLIENT", "KILL", "TYPE", "pubsub");
    const turn = win(waiter);
    await until(() => notices.length > 0);
    expect(notices).toMatchObject([{ code: "NO_CHANNEL", message: expect.stringContaining("WRONGPASS") }]);
    await holder.release();
    expect(await took(turn)).toBeLessThan(6_000);
  });
});

test("connecting costs one round trip more, and a lock call none", async () => {
  const { claim, provider } = open(`${redis.url}/3`);
  const connecting = await redis.countCommands(() => provider.connect());
  expect(connecting).toMatchObject({ select: 1, time: 1 });
  const calls = await redis.countCommands(async () => {
    for (let n = 0; n < 10; n++) await win(claim(name()));
  });
  expect(calls["select"]).toBeUndefined();
  expect(calls["evalsha"]).toBeLessThanOrEqual(10);
});
