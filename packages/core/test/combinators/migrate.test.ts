import { createLocks, type LockProvider, type SessionClaim } from "@dlock/core";
import { migrate } from "@dlock/core/combinators";
import { describe, expect, test } from "vitest";
import { until } from "../support.js";
import { claimOf, holdersOf, type Member, member, sleep, soon } from "./member.js";

/** Two backends, and those who go from one to the other and back. */
function moving(now?: { a?: () => number; b?: () => number }) {
  const log: string[] = [];
  const [a, b] = [member("a", { log, now: now?.a }), member("b", { log, now: now?.b })];
  const there = () => migrate({ from: a, to: b, names: { from: "a", to: "b" } });
  const back = () => migrate({ from: b, to: a, names: { from: "b", to: "a" } });
  return { a, b, log, there, back };
}

const names = { from: "a", to: "b" };

describe("migrate", () => {
  test("takes both sides in the order of their names, whichever way it goes", async () => {
    for (const way of ["there", "back"] as const) {
      const { log, ...move } = moving();
      const claim = claimOf(move[way]());
      await claim.tryAcquire(soon());
      expect(log.slice(0, 2)).toEqual(["a.tryAcquire", "b.tryAcquire"]);
      await claim.release();
    }
  });

  test("lets those who go and those who come back take turns", async () => {
    const { there, back } = moving();
    const fleets = await Promise.all([there(), back(), there(), back()].map((provider) => createLocks(provider)));
    let inside = 0;
    const work = fleets.flatMap((locks) =>
      Array.from({ length: 20 }, () =>
        locks.withLock("k", { ttl: 500 }, async () => {
          expect(++inside).toBe(1);
          await sleep(0);
          inside--;
        }),
      ),
    );
    await Promise.all(work);
  });

  test("excludes those who use one side only", async () => {
    const { a, b, there } = moving();
    const holder = claimOf(there());
    await holder.tryAcquire(soon());
    expect(await claimOf(a, { join: false }).tryAcquire(soon())).toBeUndefined();
    expect(await claimOf(b, { join: false }).tryAcquire(soon())).toBeUndefined();
    await holder.release();
    for (const side of [a.inner, b.inner]) {
      const other = claimOf(side, { join: false });
      expect(await other.tryAcquire(soon())).toBeDefined();
      expect(await claimOf(there(), { join: false }).tryAcquire(soon())).toBeUndefined();
      await other.release();
    }
  });

  test("keeps the side it holds alive while it waits for the other", async () => {
    const { a, b, there } = moving();
    const other = claimOf(b.inner, { ttl: 60_000 });
    await other.tryAcquire(soon());
    const locks = await createLocks(there());
    const waiting = locks.acquire("k", { ttl: 120 });
    await until(async () => (await holdersOf(a.inner)).length === 1);
    for (const end = soon(500); performance.now() < end; await sleep(20)) {
      expect(await claimOf(a.inner, { join: false }).tryAcquire(soon())).toBeUndefined();
    }
    await other.release();
    await (await waiting).release();
    expect(await holdersOf(a.inner)).toEqual([]);
    expect(await holdersOf(b.inner)).toEqual([]);
  });

  test("gives up its place on the second side when it lost the first, and begins anew", async () => {
    const { a, b, there } = moving();
    const other = claimOf(b.inner, { ttl: 60_000, owner: "other" });
    await other.tryAcquire(soon());
    const locks = await createLocks(there());
    const waiting = locks.acquire("k", { ttl: 300, owner: "mover" });
    await until(async () => (await b.inner.inspect!("k")).waiters.length === 1);
    await a.inner.forceRelease!("k");
    const thief = claimOf(a.inner, { ttl: 60_000, owner: "thief" });
    expect(await thief.tryAcquire(soon())).toBeDefined();
    // Whoever holds the first side now may need the second.
    await until(async () => (await b.inner.inspect!("k")).waiters.length === 0);
    await other.release();
    const second = claimOf(b.inner, { owner: "thief" });
    expect(await second.tryAcquire(soon())).toBeDefined();
    await second.release();
    await thief.release();
    const lock = await waiting;
    expect(await holdersOf(a.inner)).toEqual(["mover"]);
    expect(await lock.release()).toBe(true);
  });

  test("raises the other side before anybody sees the token", async () => {
    // The clock of b, and so its tokens, are far behind.
    const { a, b, log, there } = moving({ b: () => 5 });
    const old = claimOf(a.inner);
    const tokens = [await old.tryAcquire(soon())];
    await old.release();
    const both = claimOf(there());
    tokens.push(await both.tryAcquire(soon()));
    expect(log).toEqual(["a.tryAcquire", "b.tryAcquire", "b.raise"]);
    expect(await both.tryAcquire(soon())).toBe(tokens.at(-1));
    expect(log.filter((call) => call.endsWith("raise"))).toHaveLength(1);
    await both.release();
    for (const provider of [b.inner, there(), b.inner, a.inner, there()]) {
      const next = claimOf(provider);
      tokens.push(await next.tryAcquire(soon()));
      await next.release();
    }
    for (const [place, token] of tokens.entries()) if (place > 0) expect(token! > tokens[place - 1]!).toBe(true);
  });

  test("hands no token out while the raise is not confirmed", async () => {
    const { a, b, there } = moving();
    b.raise = a.raise = "failing";
    const claim = claimOf(there(), { ttl: 300 });
    await expect(claim.tryAcquire(soon())).rejects.toThrow("no raise");
    await sleep(400);
    expect(await holdersOf(a.inner)).toHaveLength(1);
    b.raise = a.raise = "no";
    expect(await claim.tryAcquire(soon())).toBeUndefined();
    b.raise = a.raise = "yes";
    expect(await claim.tryAcquire(soon())).toBeDefined();
    await claim.release();
  });

  test("says that its tokens are a best effort where a side cannot raise them", () => {
    const { a, b, there } = moving();
    expect(there().guarantees.fencing).toBe("unless-data-and-clock-lost");
    b.raise = "left out";
    expect(there().guarantees.fencing).toBe("best-effort");
    expect(claimOf(there()).raise).toBeUndefined();
    expect(a.raise).toBe("yes");
  });

  test("leaves nothing behind when it does not join and gets one side only", async () => {
    const { a, b, there } = moving();
    const other = claimOf(b.inner, { owner: "other" });
    await other.tryAcquire(soon());
    const once = claimOf(there(), { join: false });
    expect(await once.tryAcquire(soon())).toBeUndefined();
    expect(await holdersOf(a.inner)).toEqual([]);
    expect((await b.inner.inspect!("k")).waiters).toEqual([]);
    await other.release();
    expect(await once.tryAcquire(soon())).toBeDefined();
    await once.release();
  });

  test("gives up the second side when the first is out of reach and may be lost", async () => {
    const { a, b, there } = moving();
    const other = claimOf(b.inner, { ttl: 60_000, owner: "other" });
    await other.tryAcquire(soon());
    const locks = await createLocks(there());
    const waiting = locks.acquire("k", { ttl: 200, owner: "mover", backendTimeout: 5_000 });
    await until(async () => (await b.inner.inspect!("k")).waiters.length === 1);
    a.state = "down";
    await until(async () => (await b.inner.inspect!("k")).waiters.length === 0);
    await other.release();
    a.state = "up";
    expect(await (await waiting).release()).toBe(true);
  });

  test("tells the holder when either side is lost", async () => {
    for (const side of ["a", "b"] as const) {
      const { there, ...sides } = moving();
      const lock = await (await createLocks(there())).acquire("k", { ttl: 200 });
      await sides[side].inner.forceRelease!("k");
      await until(() => lock.signal.aborted, 400);
      expect(await lock.release()).toBe(false);
      await until(async () => (await holdersOf(sides.a.inner)).length + (await holdersOf(sides.b.inner)).length === 0);
    }
  });

  test("gives up both sides, also when one of them does not answer", async () => {
    const { a, b, there } = moving();
    const claim = claimOf(there(), { ttl: 60_000 });
    await claim.tryAcquire(soon());
    a.state = "down";
    const released = claim.release();
    await until(async () => (await holdersOf(b.inner)).length === 0);
    a.state = "up";
    await released;
    expect(await holdersOf(a.inner)).toEqual([]);
  });

  test("of a session and a lease is certain for as long as both of them are, and renews the lease itself", async () => {
    const { a, b } = moving();
    let certain = 0;
    const lost = new AbortController();
    const sessions: LockProvider = {
      guarantees: { ...b.guarantees, alive: "session" },
      claim: (request) => {
        const inner = b.claim(request);
        return Object.assign<typeof inner, Partial<SessionClaim>>(inner, {
          lost: lost.signal,
          certainUntil: () => certain,
          renew: undefined,
        }) as SessionClaim;
      },
    };
    const provider = migrate({ from: a, to: sessions, names });
    expect(provider.guarantees.alive).toBe("session");
    const claim = claimOf(provider, { ttl: 150 }) as SessionClaim;
    certain = performance.now() + 60_000;
    const asked = performance.now();
    await claim.tryAcquire(soon());
    expect(claim.certainUntil()).toBeGreaterThanOrEqual(asked + 145);
    expect(claim.certainUntil()).toBeLessThan(asked + 200);
    await sleep(400);
    expect(claim.certainUntil()).toBeGreaterThan(performance.now());
    expect(await claimOf(a.inner, { join: false }).tryAcquire(soon())).toBeUndefined();
    certain = performance.now() + 20;
    expect(claim.certainUntil()).toBe(certain);
    expect(claim.lost.aborted).toBe(false);
    lost.abort("expired");
    expect(claim.lost.aborted).toBe(true);
    expect(claim.lost.reason).toBe("expired");
    await claim.release();
  });

  test("leaves a whole hold to its holder's renewals, also when it was proved on one side only", async () => {
    const { a, b, log, there } = moving();
    const claim = claimOf(there(), { ttl: 120 });
    await claim.tryAcquire(soon());
    b.state = "down";
    await expect(claim.tryAcquire(soon())).rejects.toThrow("b is down");
    b.state = "up";
    await sleep(200);
    expect(log).not.toContain("a.renew");
    expect([await holdersOf(a.inner), await holdersOf(b.inner)]).toEqual([[], []]);
    await claim.release();
  });

  test("shows each holder once, and closes nothing", async () => {
    const { a, b, there } = moving();
    const provider = there();
    const claim = claimOf(provider, { owner: "me" });
    const fencingToken = await claim.tryAcquire(soon());
    expect(await provider.inspect?.("k")).toMatchObject({ holders: [{ owner: "me", fencingToken }], waiters: [] });
    expect(await provider.forceRelease?.("k")).toBe(true);
    expect(await provider.forceRelease?.("k")).toBe(false);
    expect(provider.close).toBeUndefined();
    expect([await holdersOf(a.inner), await holdersOf(b.inner)]).toEqual([[], []]);
  });

  test("refuses sides that it cannot put into an order", () => {
    const [a, b] = [member("a"), member("b")];
    const refused = (migration: object, message: RegExp) =>
      expect(() => migrate(migration as { from: Member; to: Member; names: typeof names })).toThrow(message);
    refused({ from: a, to: b }, /names\.from/);
    refused({ from: a, to: b, names: { from: "a" } }, /names\.to/);
    refused({ from: a, to: b, names: { from: "a", to: "a" } }, /two different backends/);
    refused({ from: a, to: a, names }, /two different backends/);
    refused({ from: a, to: "redis:", names }, /to: "redis:" is not accepted; expected a LockProvider/);
  });
});
