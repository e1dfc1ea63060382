import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { type Holder, spawnHolder } from "@dlock/conformance";
import { type Claim, createLocks, type LeaseClaim } from "@dlock/core";
import { startRedis } from "@dlock/testbed";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

const redis = await startRedis();
afterAll(() => redis.stop());
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const open = opener((close) => closing.push(close));

async function spawn(): Promise<Holder> {
  const holder = await spawnHolder(new URL("child/peer.mjs", import.meta.url), redis.url);
  closing.push(() => holder.kill());
  return holder;
}

const inLine = (key: string) => async () => redis.client.zcard(await queueOf(key));
const queueOf = async (key: string) => (await redis.client.keys(`{*}?dlock:queue:2:dlock:${key}`))[0] ?? "";

/** Connections that the server still has open for listening. */
async function listeners(): Promise<number> {
  const clients = String(await redis.client.client("LIST", "TYPE", "PUBSUB"));
  return clients.split("\n").filter((line) => line !== "").length;
}

/** So many processes in line, in the order of the list. */
async function processesInLine(key: string, count: number): Promise<Holder[]> {
  const holders = await Promise.all(Array.from({ length: count }, spawn));
  for (const [place, holder] of holders.entries()) {
    holder.acquire(key, { ttl: 20_000 }).catch(() => {});
    await until(async () => (await inLine(key)()) === place + 1);
  }
  return holders;
}

/** Commands that clients sent: those of scripts are not among them. */
async function sent(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const inside = [
    "get",
    "set",
    "del",
    "exists",
    "zrange",
    "zadd",
    "zrem",
    "zscore",
    "zrank",
    "zremrangebyrank",
    "pexpire",
    "pttl",
    "time",
    "incr",
    "publish",
    "pubsub|numsub",
  ];
  const counts = await redis.countCommands(work);
  return Object.fromEntries(Object.entries(counts).filter(([command]) => !inside.includes(command)));
}

describe("commands", () => {
  test("an uncontended acquire and release are two commands", async () => {
    const locks = await createLocks(open(redis.url).provider);
    await locks.withLock(name(), async () => {});
    const counts = await sent(async () => {
      for (let round = 0; round < 10; round++) await locks.withLock(name(), async () => {});
    });
    expect(counts).toEqual({ evalsha: 20 });
  });

  test("a waiter sends nothing before its fallback timer", async () => {
    const [holder, waiter] = [open(redis.url), open(redis.url)];
    const key = name();
    await win(holder.claim(key));
    const claim = waiter.claim(key);
    expect(await claim.tryAcquire(soon())).toBeUndefined();
    const over = new AbortController();
    const turn = claim.waitTurn?.(over.signal);
    expect(await sent(() => sleep(1_500))).toEqual({});
    over.abort();
    await turn;
  });

  test("a hand-over costs as many commands with 500 waiting claims as with 10", async () => {
    const [few, many] = [await handOvers(10), await handOvers(500)];
    expect(many).toEqual(few);
    const { eval: whole = 0, evalsha = 0, ...others } = few;
    // A script goes out whole the first time that a process sends it.
    expect({ scripts: whole + evalsha, ...others }).toEqual({ scripts: 16 });
  });

  /** The commands of eight hand-overs while so many claims of so many processes wait. */
  async function handOvers(count: number) {
    const key = name();
    const peers = Array.from({ length: 10 }, () => open(redis.url));
    const holder = open(redis.url).claim(key);
    await win(holder);
    const claims = Array.from({ length: count }, (_, place) => peers[place % peers.length]!.claim(key)); // the index is in range
    for (const claim of claims) expect(await claim.tryAcquire(soon())).toBeUndefined();
    const over = new AbortController();
    const counts = await sent(async () => {
      let current = holder;
      for (const next of claims.slice(0, 8)) {
        const turn = next.waitTurn?.(over.signal);
        await current.release();
        await turn;
        expect(await next.tryAcquire(soon())).toBeTypeOf("bigint");
        current = next;
      }
    });
    over.abort();
    await Promise.all(claims.map((claim) => claim.release()));
    return counts;
  }
});

describe("the line", () => {
  test("500 waiters of ten processes are served in the order in which they came", { timeout: 60_000 }, async () => {
    const key = name();
    const holder = open(redis.url).claim(key);
    await win(holder);
    const peers = Array.from({ length: 10 }, () => open(redis.url));
    const served: number[] = [];
    const all: Promise<void>[] = [];
    for (let place = 0; place < 500; place++) {
      const claim = peers[place % peers.length]!.claim(key); // the index is in range
      expect(await claim.tryAcquire(soon())).toBeUndefined();
      const serve = async () => {
        await win(claim, 50_000);
        served.push(place);
        await claim.release();
      };
      all.push(serve());
    }
    await holder.release();
    await Promise.all(all);
    expect(served).toEqual(Array.from({ length: 500 }, (_, place) => place));
  });

  test("five waiting processes that were killed cost nothing: the next one is in within 50 ms of the release", async () => {
    const key = name();
    const holder = open(redis.url).claim(key);
    await win(holder);
    const dead = await processesInLine(key, 5);
    const next = open(redis.url).claim(key);
    expect(await next.tryAcquire(soon())).toBeUndefined();
    await Promise.all(dead.map((one) => one.kill()));
    await until(async () => (await listeners()) === 1);
    const turn = win(next);
    await sleep(20);
    const waited = await took(Promise.all([holder.release(), turn]));
    console.log(`five killed: in after ${waited.toFixed(1)} ms`);
    expect(waited).toBeLessThan(50);
  });

  test("a stopped process that is granted the lock at ttl 20 s costs one claim window", async () => {
    const { waited } = await behindStopped(1);
    expect(waited).toBeLessThan(1_500 + 250);
  });

  test("eight stopped processes in a row cost less than ten seconds", { timeout: 60_000 }, async () => {
    const { waited } = await behindStopped(8);
    expect(waited).toBeLessThan(10_000);
  });

  async function behindStopped(count: number) {
    const key = name();
    const holder = open(redis.url).claim(key);
    await win(holder);
    const stopped = await processesInLine(key, count);
    const turn = win(open(redis.url).claim(key));
    await until(async () => (await inLine(key)()) === count + 1);
    for (const one of stopped) one.stop();
    const waited = await took(Promise.all([holder.release(), turn]));
    console.log(`${count} stopped: in after ${waited.toFixed(0)} ms`);
    return { waited };
  }

  test("when all subscriptions are cut while ten wait, the order is kept, also when the lock is released before they are back", async () => {
    for (const gap of [0, 1, 300]) {
      const key = name();
      const holder = open(redis.url).claim(key);
      await win(holder);
      const served: number[] = [];
      const all: Promise<void>[] = [];
      for (let place = 0; place < 10; place++) {
        const claim = open(redis.url).claim(key);
        expect(await claim.tryAcquire(soon())).toBeUndefined();
        const serve = async () => {
          await win(claim);
          served.push(place);
          await claim.release();
        };
        all.push(serve());
      }
      await redis.client.call("CLIENT", "KILL", "TYPE", "pubsub");
      if (gap > 0) await sleep(gap);
      await holder.release();
      const waited = await took(Promise.all(all));
      console.log(`cut, released ${gap} ms later: ${served.join(" ")} within ${waited.toFixed(0)} ms`);
      expect(served).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  });

  test("a line that was lost with the server's data is rebuilt in the old order", async () => {
    const key = name();
    const holder = open(redis.url).claim(key);
    await win(holder);
    const claims = Array.from({ length: 4 }, () => open(redis.url).claim(key));
    for (const claim of claims) expect(await claim.tryAcquire(soon())).toBeUndefined();
    const before = await redis.client.zrange(await queueOf(key), "0", "-1");
    await redis.client.flushall();
    await win(open(redis.url).claim(key, { join: false }));
    for (const claim of claims.toReversed()) expect(await claim.tryAcquire(soon())).toBeUndefined();
    expect(await redis.client.zrange(await queueOf(key), "0", "-1")).toEqual(before);
  });

  test("a place in line that was left to nobody is given up as soon as it is granted the lock", async () => {
    const key = name();
    const [holder, peer] = [open(redis.url).claim(key), open(redis.url)];
    await win(holder);
    const ghost = peer.claim(key);
    expect(await ghost.tryAcquire(soon())).toBeUndefined();
    const [member = ""] = await redis.client.zrange(await queueOf(key), "0", "0");
    const queue = await queueOf(key);
    await ghost.release();
    // As a delayed request would, that comes after the release.
    await redis.client.zadd(queue, 1, member);
    await holder.release();
    expect(await took(win(open(redis.url).claim(key)))).toBeLessThan(200);
  });

  test("a grant that is confirmed is a hold like any other", async () => {
    const key = name();
    const [holder, waiter] = [open(redis.url).claim(key), open(redis.url).claim(key)];
    await win(holder);
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    const turn = win(waiter);
    await holder.release();
    const token = await turn;
    expect((await redis.client.get(`dlock:${key}`))?.split("|").slice(1)).toEqual([String(token)]);
  });

  test("a one-shot try joins no line, also where others of its process wait in one", async () => {
    const [key, other] = [name(), name()];
    const holder = open(redis.url);
    await win(holder.claim(key));
    await win(holder.claim(other));
    const { claim } = open(redis.url);
    expect(await claim(other).tryAcquire(soon())).toBeUndefined();
    expect(await claim(key, { join: false }).tryAcquire(soon())).toBeUndefined();
    expect(await inLine(key)()).toBe(0);
  });

  test("a lock that ran out goes to the first in line, whoever asks first", async () => {
    for (const newcomer of [{ join: false }, { order: "none" }, {}] as const) {
      const key = name();
      const expiring = open(redis.url).claim(key, { ttl: 100 });
      await win(expiring);
      const waiter = open(redis.url).claim(key);
      expect(await waiter.tryAcquire(soon())).toBeUndefined();
      await sleep(120);
      const options = "order" in newcomer ? { order: newcomer.order } : {};
      const request = "join" in newcomer ? { join: newcomer.join } : {};
      expect(await open(redis.url, options).claim(key, request).tryAcquire(soon())).toBeUndefined();
      expect(await waiter.tryAcquire(soon())).toBeTypeOf("bigint");
    }
  });

  test("a head that leaves hands its watch over: the next one notices that the lock ran out", async () => {
    const key = name();
    await win(open(redis.url).claim(key, { ttl: 400 }));
    const [head, next] = [open(redis.url).claim(key), open(redis.url).claim(key)];
    expect(await head.tryAcquire(soon())).toBeUndefined();
    const turn = win(next);
    await until(async () => (await inLine(key)()) === 2);
    await head.release();
    expect(await took(turn)).toBeLessThan(700);
  });
});

describe("order: none", () => {
  test("is served without a line", async () => {
    const key = name();
    const peers = Array.from({ length: 4 }, () => open(redis.url, { order: "none" }));
    expect(peers[0]?.provider.guarantees).toMatchObject({ order: "none", waiting: "poll" });
    const locks = await Promise.all(peers.map(({ provider }) => createLocks(provider)));
    let inside = 0;
    const section = async () => {
      expect(++inside).toBe(1);
      expect(await inLine(key)()).toBe(0);
      inside--;
    };
    await Promise.all(locks.flatMap((one) => [1, 2, 3].map(() => one.withLock(key, section))));
  });

  test("joins the line where others keep one, and is served by it", async () => {
    const key = name();
    const fair = open(redis.url);
    const holder = fair.claim(key);
    await win(holder);
    const before = fair.claim(key);
    expect(await before.tryAcquire(soon())).toBeUndefined();
    const barger = open(redis.url, { order: "none" }).claim(key);
    expect(await barger.tryAcquire(soon())).toBeUndefined();
    const after = fair.claim(key);
    expect(await after.tryAcquire(soon())).toBeUndefined();
    await holder.release();
    expect(await barger.tryAcquire(soon())).toBeUndefined();
    await win(before);
    await before.release();
    expect(await after.tryAcquire(soon())).toBeUndefined();
    await win(barger);
    await barger.release();
    await win(after);
  });
});

describe("a user without channel rights", () => {
  for (const rights of ["resetchannels", "allchannels -publish", "allchannels -subscribe"]) {
    test(`polls and is warned once (${rights})`, async () => {
      await redis.client.acl("SETUSER", "mute", "reset", "on", ">secret", "~*", "+@all", ...rights.split(" "));
      const url = redis.url.replace("//", "//mute:secret@");
      const key = name();
      const [holder, waiter] = [open(url), open(url)];
      const held = holder.claim(key);
      await win(held);
      const claims = [waiter.claim(key), waiter.claim(key), open(url).claim(key)];
      const served: number[] = [];
      const turns = [];
      for (const [place, claim] of claims.entries()) {
        expect(await claim.tryAcquire(soon())).toBeUndefined();
        const serve = async () => {
          await win(claim);
          served.push(place);
          await claim.release();
        };
        turns.push(serve());
      }
      await held.release();
      expect(await took(Promise.all(turns))).toBeLessThan(1_500);
      expect(served).toEqual([0, 1, 2]);
      expect(waiter.notices.map(({ code }) => code)).toEqual(["NO_CHANNEL"]);
      expect(JSON.stringify(waiter.notices)).not.toContain("secret");
    });
  }
});

test("the rights in the README are enough", async () => {
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const [, rights = ""] = /ACL SETUSER app on >… ([^`]*)```/.exec(text) ?? [];
  await redis.client.acl("SETUSER", "app", "reset", "on", ">secret", ...rights.trim().split(/\s+/));
  const url = redis.url.replace("//", "//app:secret@");
  const [here, there] = [open(url), open(url)];
  const key = name();
  const [holder, waiter] = [here.claim(key), there.claim(key)];
  const token = await win(holder);
  expect(await (holder as LeaseClaim).renew(20_000)).toBe(true);
  const turn = win(waiter);
  await until(async () => (await here.provider.inspect(key)).waiters.length === 1);
  await holder.release();
  expect(await turn).toBeGreaterThan(token);
  const reader = await waiter.downgrade?.();
  const beside = here.claim(key, { mode: "shared" });
  await win(beside);
  expect([reader, await (beside as LeaseClaim).renew(20_000)]).toEqual([true, true]);
  expect((await here.provider.inspect(key)).holders).toHaveLength(2);
  await beside.release();
  expect(await here.provider.forceRelease(key)).toBe(true);
  expect([...here.notices, ...there.notices]).toEqual([]);
});

test("a holder that may not tell anybody releases all the same, and the line goes on", async () => {
  await redis.client.acl("SETUSER", "mute", "reset", "on", ">secret", "~*", "+@all", "resetchannels");
  const key = name();
  const holder = open(redis.url.replace("//", "//mute:secret@")).claim(key);
  await win(holder);
  const turn = win(open(redis.url).claim(key));
  await until(async () => (await inLine(key)()) === 1);
  await holder.release();
  expect(await redis.client.exists(`dlock:${key}`)).toBe(0);
  expect(await inLine(key)()).toBe(1);
  expect(await took(turn)).toBeLessThan(5_500);
});

test("a dead waiter does not block those who may not tell anybody, and a living one finds what it was granted", async () => {
  await redis.client.acl("SETUSER", "mute", "reset", "on", ">secret", "~*", "+@all", "resetchannels");
  const mute = open(redis.url.replace("//", "//mute:secret@"));
  const key = name();
  const [holder, dead, living] = [open(redis.url), open(redis.url), open(redis.url)];
  const held = holder.claim(key, { ttl: 300 });
  await win(held);
  for (const { claim } of [dead, living]) expect(await claim(key).tryAcquire(soon())).toBeUndefined();
  await dead.provider.close();
  await until(async () => (await redis.client.exists(`dlock:${key}`)) === 0);
  const claim = mute.claim(key);
  // Those who stand before it come first, as long as they may be alive.
  expect(await claim.tryAcquire(soon())).toBeUndefined();
  expect(await took(win(claim))).toBeLessThan(15_000);
});

test("readers behind a writer that ran out enter together, whoever of them asks first", async () => {
  const { claim } = open(redis.url);
  const key = name();
  await claim(key, { ttl: 200 }).tryAcquire(soon());
  const [first, second] = [1, 2].map(() => claim(key, { mode: "shared" })) as [Claim, Claim];
  for (const reader of [first, second]) expect(await reader.tryAcquire(soon())).toBeUndefined();
  const told = second.waitTurn?.(AbortSignal.timeout(10_000));
  await sleep(250);
  expect(await first.tryAcquire(soon())).toBeTypeOf("bigint");
  expect(await took(Promise.resolve(told))).toBeLessThan(1_000);
  expect(await second.tryAcquire(soon())).toBeTypeOf("bigint");
  await Promise.all([first.release(), second.release()]);
});

test("a reader that died is shown no more while others read, and who waits for them raises no token", async () => {
  const { claim, provider } = open(redis.url);
  const key = name();
  const [reader, writer] = [claim(key, { mode: "shared" }), claim(key)];
  const token = await win(reader);
  await win(claim(key, { mode: "shared", ttl: 100 }));
  expect((await provider.inspect(key)).holders).toHaveLength(2);
  expect(await writer.tryAcquire(soon())).toBeUndefined();
  expect(await writer.raise?.(token + 10n ** 9n)).toBe(false);
  expect(await reader.raise?.(token + 10n ** 9n)).toBe(true);
  await sleep(120);
  expect((await provider.inspect(key)).holders.map(({ fencingToken }) => fencingToken)).toEqual([token]);
  await Promise.all([writer.release(), reader.release()]);
});

test("a writer that died while it waited keeps no readers out while others read, and a living one behind it does", async () => {
  const [here, there] = [open(redis.url), open(redis.url)];
  const key = name();
  const [first, second, third] = [1, 2, 3].map(() => here.claim(key, { mode: "shared" })) as [Claim, Claim, Claim];
  const leaver = here.claim(key, { mode: "shared" });
  await win(leaver);
  const token = await win(first);
  const [dead] = (await processesInLine(key, 1)) as [Holder];
  const passing = () => here.claim(key, { mode: "shared", join: false });
  expect(await passing().tryAcquire(soon())).toBeUndefined();
  const before = await listeners();
  await dead.kill();
  await until(async () => (await listeners()) < before);
  await leaver.release();
  expect(await first.tryAcquire(soon())).toBe(token);
  await win(second, 8_000);
  const last = passing();
  expect(await last.tryAcquire(soon())).toBeTypeOf("bigint");
  const writer = there.claim(key);
  expect(await writer.tryAcquire(soon())).toBeUndefined();
  expect(await third.tryAcquire(soon())).toBeUndefined();
  for (const reader of [first, second, last]) await reader.release();
  await win(writer, 2_000);
  await Promise.all([writer.release(), third.release()]);
});

test("a process that waited exits as soon as it has closed", async () => {
  const program = `
    import { createLocks } from "@dlock/core";
    const [mine, theirs] = [await createLocks(process.argv[1]), await createLocks(process.argv[1])];
    const holder = await theirs.acquire("exit");
    const waiter = mine.acquire("exit");
    setTimeout(() => holder.release(), 50);
    await (await waiter).release();
    await Promise.all([mine.close(), theirs.close()]);
    const since = performance.now();
    process.on("exit", () => console.log(performance.now() - since));`;
  const args = ["--input-type=module", "-e", program, redis.url];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
  expect(Number(stdout)).toBeLessThan(1_000);
});

test("newcomers stand behind everybody, also when the server's clock was set back", async () => {
  const key = name();
  const { claim } = open(redis.url);
  const holder = claim(key);
  await win(holder);
  const first = claim(key);
  expect(await first.tryAcquire(soon())).toBeUndefined();
  const queue = await queueOf(key);
  const [member = ""] = await redis.client.zrange(queue, "0", "0");
  // As if it had come when the clock was a minute ahead.
  await redis.client.zincrby(queue, "60000000", member);
  const second = claim(key);
  expect(await second.tryAcquire(soon())).toBeUndefined();
  expect(await redis.client.zrank(queue, member)).toBe(0);
  await holder.release();
  await win(first);
  expect(await second.tryAcquire(soon())).toBeUndefined();
});

describe("a lock of another library on the same key", () => {
  const plain = async (key: string, token: string, ttl = 10_000) => redis.client.set(key, token, "PX", ttl, "NX");

  test("excludes ours, and ours excludes it", async () => {
    const key = name();
    const { claim, provider } = open(redis.url, { namespace: "" });
    expect(await plain(key, "theirs")).toBe("OK");
    const ours = claim(key);
    expect(await ours.tryAcquire(soon())).toBeUndefined();
    expect((await provider.inspect(key)).holders).toMatchObject([{ owner: "(another library)", fencingToken: 0n }]);
    expect(JSON.stringify((await provider.inspect(key)).holders.map(({ owner }) => owner))).not.toContain("theirs");
    const turn = win(ours);
    await sleep(50);
    await redis.client.del(key);
    expect(await took(turn)).toBeLessThan(150);
    expect(await plain(key, "theirs")).toBeNull();
    await ours.release();
    expect(await plain(key, "theirs")).toBe("OK");
  });

  test("does not starve ours, nor do ours starve it while their line runs empty now and then", async () => {
    const key = name();
    const end = performance.now() + 2_000;
    let [theirs, ours] = [0, 0];
    const foreign = async (token: string) => {
      while (performance.now() < end) {
        if ((await plain(key, token)) === "OK") {
          theirs++;
          await sleep(1);
          await redis.client.del(key);
        }
        await sleep(5);
      }
    };
    const locks = await Promise.all([1, 2, 3, 4].map(() => createLocks(open(redis.url, { namespace: "" }).provider)));
    const own = async (place: number) => {
      while (performance.now() < end) {
        await locks[place]?.withLock(key, () => sleep(1));
        ours++;
        await sleep(10);
      }
    };
    await Promise.all([...["a", "b", "c", "d"].map(foreign), ...[0, 1, 2, 3].map(own)]);
    console.log(`four foreign clients ${theirs}, four of ours ${ours}`);
    expect(ours).toBeGreaterThan(theirs / 10);
    expect(theirs).toBeGreaterThan(ours / 20);
  });
});
