import { readdirSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { isSelected, openRedis, startRedis, startRedisQuorum } from "@dlock/testbed";
import type { Redis } from "@dlock/testbed";

const started: Redis[] = [];
async function redis(config?: Readonly<Record<string, string>>) {
  const one = await startRedis(config);
  started.push(one);
  return one;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
});

const silence = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, "silence"));

describe.runIf(isSelected("redis"))("a Redis server", () => {
  it("listens on loopback only, on a port of its own", async () => {
    const [one, other] = await Promise.all([redis(), redis()]);
    await one.client.set("key", "here");
    expect(await other.client.get("key")).toBeNull();
    expect(await one.client.config("GET", "bind")).toEqual(["bind", "127.0.0.1"]);
  });

  it("takes directives, and does not start with odd ones: the error shows the end of its log", async () => {
    const one = await redis({ "maxmemory-policy": "allkeys-lru" });
    expect((await one.info("memory"))["maxmemory_policy"]).toBe("allkeys-lru");
    await expect(startRedis({ "maxmemory-policy": "whatever" })).rejects.toThrow(
      /redis ended; the end of its log:[^]*maxmemory-policy/,
    );
  });

  it("is gone when it is killed", async () => {
    const one = await redis();
    await one.client.set("key", "value");
    await one.server.kill();
    await expect(one.client.get("key")).rejects.toThrow();
    await one.server.kill();
  });

  it("keeps what it acknowledged when it is killed and restarted with its data, and nothing without", async () => {
    const one = await redis();
    for (let n = 0; n < 100; n++) await one.client.set(`key ${n}`, n);
    await one.server.kill();
    await one.server.restart({ keepData: true });
    expect(await one.client.dbsize()).toBe(100);
    await one.server.restart({ keepData: true });
    expect(await one.client.get("key 99")).toBe("99");
    await one.server.restart({ keepData: false });
    expect(await one.client.dbsize()).toBe(0);
  });

  it("keeps connections and answers late when it was stopped for a while", async () => {
    const one = await redis();
    await one.client.set("key", "value");
    await one.server.pause();
    const answer = one.client.get("key");
    expect(await Promise.race([answer, silence(200)])).toBe("silence");
    await one.server.resume();
    expect(await answer).toBe("value");
  });

  it("can be killed, restarted and ended while it is stopped", async () => {
    const one = await redis();
    await one.client.set("key", "value");
    await one.server.pause();
    await one.server.restart({ keepData: true });
    expect(await one.client.get("key")).toBe("value");
    await one.server.pause();
    await one.stop();
    await expect(one.client.get("key")).rejects.toThrow();
  });

  it("has a wall clock that is moved forward and back, and stays so when it is killed; nothing of it is left in the end", async (context) => {
    const before = readdirSync("/dev/shm");
    const one = await startRedis({}, { clock: true });
    started.push(one);
    const { clock } = one.server;
    if (!clock) return context.skip("there is no libfaketime here, and only root on Debian gets it installed");
    const ahead = async () => Math.round((Number((await one.client.time())[0]) - Date.now() / 1_000) / 10);
    await one.client.set("key", "value", "PX", 30_000);
    clock.move(-3_600_000);
    expect(await ahead()).toBe(-360);
    expect(await one.client.pttl("key")).toBeGreaterThan(3_600_000);
    await one.server.restart({ keepData: true });
    expect(await ahead()).toBe(-360);
    clock.move(3_700_000);
    expect(await ahead()).toBe(10);
    expect(await one.client.get("key")).toBeNull();
    const during = readdirSync("/dev/shm").filter((name) => !before.includes(name));
    await one.stop();
    const after = readdirSync("/dev/shm");
    expect(during.filter((name) => after.includes(name))).toEqual([]);
  });

  it("counts the commands of all clients", async () => {
    const one = await redis();
    await one.client.set("key", "value");
    const counts = await one.countCommands(async () => {
      await one.client.get("key");
      await one.client.eval("return redis.call('incr', KEYS[1])", 1, "counter");
    });
    expect(counts).toEqual({ get: 1, eval: 1, incr: 1 });
  });

  it("comes in any number, for a quorum", async () => {
    const quorum = await startRedisQuorum(5);
    expect(quorum.url).toMatch(/^redis\+quorum:\/\/(127\.0\.0\.1:\d+,?){5}$/);
    await quorum.nodes[0]?.client.set("key", "value");
    expect(await quorum.nodes[1]?.client.get("key")).toBeNull();
    await quorum.stop();
  });

  it("can be lent by its URL, and what is lent is left alone", async () => {
    const [lender, before] = [await redis(), process.env["DLOCK_TEST_REDIS_URL"]];
    process.env["DLOCK_TEST_REDIS_URL"] = `${lender.url}/3`;
    try {
      const lent = await openRedis();
      expect(lent.server).toBeUndefined();
      const link = await lent.link();
      expect(link.url).toBe(`redis://127.0.0.1:${link.port}/3`);
      await lent.client.set("key", "value");
      await lent.stop();
      await lender.client.select(3);
      expect(await lender.client.get("key")).toBe("value");
    } finally {
      if (before === undefined) delete process.env["DLOCK_TEST_REDIS_URL"];
      else process.env["DLOCK_TEST_REDIS_URL"] = before;
    }
  });
});
