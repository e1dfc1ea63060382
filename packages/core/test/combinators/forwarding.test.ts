import { createLocks, type LockProvider } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { observe, prefix, type ProviderCall, route } from "@dlock/core/combinators";
import { describe, expect, test, vi } from "vitest";
import { mostSpecific } from "../../src/combinators/route.js";
import { claimOf, holdersOf, member, soon } from "./member.js";

describe("route", () => {
  test("chooses the most specific pattern: most characters, then fewest stars, then the alphabet", () => {
    const choose = (key: string, ...patterns: string[]) => mostSpecific(patterns, key);
    expect(choose("stock:42", "*", "stock:*", "stock:42")).toBe("stock:42");
    expect(choose("stock:42", "*", "stock:*", "stock:4*")).toBe("stock:4*");
    expect(choose("stock:42", "*:42", "stock:*")).toBe("stock:*");
    expect(choose("stock:42:eu", "stock:*", "*:eu", "*:*")).toBe("stock:*");
    expect(choose("abcd", "ab*d", "a*c*d", "*")).toBe("ab*d");
    expect(choose("abc", "ab*", "*bc")).toBe("*bc");
    expect(choose("payment", "stock:*")).toBeUndefined();
    expect(choose("stock:", "stock:*")).toBe("stock:*");
    expect(choose("aXbXc", "a*b*c")).toBe("a*b*c");
    expect(choose("ac", "a*b*c", "abc")).toBeUndefined();
    expect(choose("aba", "ab*ba")).toBeUndefined();
    expect(choose("axb", "a*xb*xb")).toBeUndefined();
    expect(choose("a.c", "a?c", "a.c+")).toBeUndefined();
  });

  test("sends each key to its provider", async () => {
    const [fast, safe] = [member("fast"), member("safe")];
    const provider = route({ default: fast, routes: { "payment:*": safe } });
    await claimOf(provider, { key: "payment:1" }).tryAcquire(soon());
    await claimOf(provider, { key: "stock:1" }).tryAcquire(soon());
    expect(await holdersOf(safe.inner, "payment:1")).toHaveLength(1);
    expect(await holdersOf(fast.inner, "stock:1")).toHaveLength(1);
    expect(await holdersOf(provider, "payment:1")).toHaveLength(1);
    expect(await provider.forceRelease?.("payment:1")).toBe(true);
    expect(await holdersOf(safe.inner, "payment:1")).toEqual([]);
    expect(provider.close).toBeUndefined();
  });

  test("guarantees what all of its providers do", () => {
    const inner = memoryProvider();
    const other: LockProvider = {
      ...inner,
      claim: (request) => inner.claim(request),
      guarantees: {
        exclusion: "consensus",
        failover: "may-forget",
        fencing: "always",
        alive: "session",
        order: "none",
        waiting: "push",
        modes: ["exclusive"],
      },
    };
    expect(route({ default: inner, routes: { a: other } }).guarantees).toEqual({
      exclusion: "process",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "session",
      order: "none",
      waiting: "push",
      modes: ["exclusive"],
    });
  });

  test("refuses a key without a route, and what is no pattern", () => {
    const provider = route({ routes: { "a:*": memoryProvider() } });
    expect(() => claimOf(provider, { key: "b" })).toThrow(/key: "b" is not accepted; expected .* routes a:\*/);
    expect(() => route({ routes: { "": memoryProvider() } })).toThrow(/routes/);
    expect(() => route({ routes: { "a**": memoryProvider() } })).toThrow(/routes/);
    expect(() => route({ routes: { a: {} as LockProvider } })).toThrow(/a LockProvider/);
  });
});

describe("prefix", () => {
  test("keeps namespaces apart, and shows keys without them", async () => {
    const shared = memoryProvider();
    const [one, two] = [prefix(shared, "one:"), prefix(shared, "two:")];
    const claim = claimOf(one);
    expect(await claim.tryAcquire(soon())).toBeDefined();
    expect(await claimOf(two).tryAcquire(soon())).toBeDefined();
    expect(await claimOf(one, { join: false }).tryAcquire(soon())).toBeUndefined();
    expect((await shared.inspect?.("one:k"))?.holders).toHaveLength(1);
    expect(await one.inspect?.("k")).toMatchObject({ key: "k", holders: [{ owner: "test" }] });
    expect(await one.forceRelease?.("k")).toBe(true);
    expect(await two.forceRelease?.("k")).toBe(true);
    expect(one.close).toBeUndefined();
  });

  test("refuses keys that become too long", () => {
    const provider = prefix(memoryProvider(), "n".repeat(1_000));
    expect(() => claimOf(provider, { key: "k".repeat(25) })).toThrow(/at most 1024 bytes/);
    expect(() => prefix(memoryProvider(), "")).toThrow(/prefix/);
  });
});

describe("observe", () => {
  test("reports every call with its outcome and how long it took", async () => {
    const calls: ProviderCall[] = [];
    const inner = member("a");
    const locks = await createLocks(
      observe(inner, (call) => calls.push(call)),
      { backendTimeout: 100 },
    );
    const lock = await locks.acquire("k", { owner: "me" });
    await lock.extend();
    await locks.inspect("k");
    await lock.release();
    inner.state = "down";
    await locks.tryAcquire("k").catch(() => {});
    inner.state = "up";
    await locks.close();
    const seen = calls.map(({ call, key, owner, result, error }) => [
      call,
      key,
      owner,
      error ? "failed" : typeof result,
    ]);
    expect(seen.slice(0, 5)).toEqual([
      ["tryAcquire", "k", "me", "bigint"],
      ["renew", "k", "me", "boolean"],
      ["inspect", "k", undefined, "object"],
      ["release", "k", "me", "undefined"],
      ["tryAcquire", "k", expect.any(String), "failed"],
    ]);
    for (const { took } of calls) expect(took).toBeGreaterThanOrEqual(0);
  });

  test("has the optional members that the provider has, but for close", () => {
    const close = vi.fn(async () => {});
    const inner = { ...member("a"), close };
    const provider = observe(inner, () => {});
    expect(provider.inspect).toBeDefined();
    expect(provider.list).toBeUndefined();
    expect(provider.close).toBeUndefined();
    expect("close" in provider).toBe(false);
    const claim = claimOf(provider);
    expect("certainUntil" in claim).toBe(false);
    expect(claim.raise).toBeDefined();
    expect(claim.downgrade).toBeUndefined();
  });

  test("goes on when its listener fails", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const provider = observe(memoryProvider(), () => {
      throw new Error("listener");
    });
    expect(await claimOf(provider).tryAcquire(soon())).toBeDefined();
    expect(warned).toHaveBeenCalledOnce();
    warned.mockRestore();
    expect(() => observe(memoryProvider(), undefined as never)).toThrow(/listener/);
  });
});
