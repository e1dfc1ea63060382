import { createLocks, LockConfigError } from "@dlock/core";
import { createProvider, zookeeperProvider } from "@dlock/zookeeper";
import { describe, expect, test } from "vitest";
import { parseUrl } from "../src/url.js";

const context = { emit() {} };

function refusal(call: () => unknown): LockConfigError {
  try {
    call();
  } catch (error) {
    if (error instanceof LockConfigError) return error;
  }
  throw new Error("was not refused");
}

describe("a URL", () => {
  test("names servers, a chroot, credentials and options", () => {
    expect(parseUrl("zookeeper://us%20er:p%40ss:word@h1:2182,h2,[::1],[::2]:1/app/locks%2B?order=none")).toEqual({
      address: {
        servers: [
          { host: "h1", port: 2182 },
          { host: "h2", port: 2181 },
          { host: "::1", port: 2181 },
          { host: "::2", port: 1 },
        ],
        chroot: "/app/locks+",
        auth: [{ scheme: "digest", auth: "us er:p@ss:word" }],
      },
      query: { order: "none" },
    });
  });

  test("needs no more than a host, by either scheme", () => {
    for (const url of ["zookeeper://h", "zk://h", "ZK://h/", "zk://h?"])
      expect(parseUrl(url).address).toEqual({ servers: [{ host: "h", port: 2181 }], chroot: "", auth: [] });
  });

  test("is refused when it cannot work", () => {
    const urls = [
      "zookeeper://",
      "zookeeper:h",
      "redis://h",
      "zk://h:0",
      "zk://h:65536",
      "zk://h:x",
      "zk://h,",
      "zk://::1",
      "zk://h//a",
      "zk://h/a//b",
      "zk://h/..",
      "zk://h/%00",
      "zk://h/a%2Fb",
      "zk://h/%",
      "zk://h/zookeeper/a",
      "zk://h/a#b",
      "zk://user@h",
      "zk://:password@h",
      "zk://us%3Aer:password@h",
    ];
    for (const url of urls) expect(refusal(() => parseUrl(url)).field, url).toBe("url");
  });

  test("does not show its password when it is refused", () => {
    for (const url of ["zk://user:secret@h:x", "zk://user:se/cret@h:x", "redis://user:secret@h"]) {
      const { message, value } = refusal(() => parseUrl(url));
      expect(`${message} ${String(value)}`).not.toContain("cret");
    }
  });
});

describe("options", () => {
  test("stand in the query or beside the URL; where both say something, they have to say the same", () => {
    const url = "zk://h?order=none&sessionTimeout=5000&tickTime=100";
    expect(createProvider({ url }, context).guarantees.order).toBe("none");
    expect(createProvider({ url: "zk://h", order: "none" }, context).guarantees.order).toBe("none");
    const same = { order: "none", sessionTimeout: 5_000, tickTime: 100 };
    expect(createProvider({ url, ...same }, context).guarantees.order).toBe("none");
    for (const [field, value] of Object.entries({ order: "fifo", sessionTimeout: 5_001, tickTime: 99 }))
      expect(refusal(() => createProvider({ url, ...same, [field]: value }, context)).field).toBe(field);
    expect(refusal(() => createProvider({ url: "zk://h?order=none&order=none" }, context)).value).toBe("order");
  });

  test("a prefix is refused everywhere, with what to write instead", () => {
    const places = [
      () => createProvider({ url: "zk://h", prefix: "app:" }, context),
      () => createProvider({ url: "zk://h?prefix=app:" }, context),
      () => zookeeperProvider({ url: "zk://h?prefix=app:" }),
      () => zookeeperProvider({ url: "zk://h", prefix: "app:" } as { url: string }),
      () => zookeeperProvider({ url: "zk://h" }, { prefix: "app:" } as object),
    ];
    for (const place of places) expect(refusal(place).message).toMatch(/createLocks\(…, \{ prefix \}\).*chroot/);
  });

  test("are refused when they cannot work, by their name", () => {
    const fields = (options: object) => refusal(() => createProvider({ url: "zk://h", ...options }, context)).field;
    for (const sessionTimeout of [0, -1, 1.5, Number.NaN, 2 ** 31, "1000", null])
      expect(fields({ sessionTimeout })).toBe("sessionTimeout");
    expect(fields({ tickTime: 0 })).toBe("tickTime");
    expect(fields({ order: "lifo" })).toBe("order");
    expect(fields({ curator: "semaphore" })).toBe("curator");
    expect(fields({ acl: "closed" })).toBe("acl");
    expect(fields({ prefix: "a" })).toBe("entry");
    expect(refusal(() => createProvider({ url: "zk://h?sessionTimeout=soon" }, context)).field).toBe("sessionTimeout");
    expect(refusal(() => createProvider({ url: "zk://h?ttl=5" }, context)).field).toBe("url");
    expect(refusal(() => zookeeperProvider({ url: "zk://h?order=none" })).field).toBe("url");
    expect(refusal(() => zookeeperProvider({ url: "zk://h" }, { emit: 1 as never })).field).toBe("emit");
  });

  test("acl: creator needs somebody to be the creator", () => {
    expect(refusal(() => createProvider({ url: "zk://h", acl: "creator" }, context)).field).toBe("acl");
    createProvider({ url: "zk://user:password@h", acl: "creator" }, context);
  });

  test("without a line, shared holds and semaphores are refused", () => {
    const request = { key: "a", id: "b", owner: "c", ttl: 10, mode: "exclusive", limit: 1, join: true } as const;
    const provider = createProvider({ url: "zk://h", order: "none" }, context);
    expect(provider.guarantees.modes).toEqual(["exclusive"]);
    expect(provider.claim(request).downgrade).toBeUndefined();
    expect(refusal(() => provider.claim({ ...request, mode: "shared" })).field).toBe("mode");
    expect(refusal(() => provider.claim({ ...request, limit: 2 })).field).toBe("limit");
  });
});

test("a server that is not there is an error of the first call, and of connect", async () => {
  const url = "zookeeper://127.0.0.1:1";
  const locks = await createLocks(url);
  await expect(locks.tryAcquire("a")).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
  await locks.close();
  await expect(createLocks(url, { connect: true })).rejects.toMatchObject({ code: "LOCK_BACKEND" });
});
