import {
  type ClaimRequest,
  createLocks,
  type LeaseClaim,
  type LockBackendError,
  type LockProvider,
  type SessionClaim,
} from "@dlock/core";
import { quorum } from "@dlock/core/combinators";
import { describe, expect, test } from "vitest";
import { deferred, runProgram, until } from "../support.js";
import { claimOf, holdersOf, type Member, member, sleep, soon } from "./member.js";

const five = (): Member[] => ["a", "b", "c", "d", "e"].map((name) => member(name));
const names = ["a", "b", "c", "d", "e"];
const heldBy = async (members: readonly Member[]): Promise<string> => {
  const holders = await Promise.all(members.map(({ inner }) => holdersOf(inner)));
  return holders.map((at, place) => (at.length > 0 ? names[place] : "-")).join("");
};
const failure = (promise: Promise<unknown>): Promise<LockBackendError> =>
  promise.then(
    () => expect.unreachable(),
    (error: LockBackendError) => error,
  );

describe("quorum", () => {
  test("holds while a majority holds, and names those who are silent when there is none", async () => {
    const members = five();
    members[1]!.state = "down";
    members[3]!.state = "silent";
    const claim = claimOf(quorum(members, { names, memberTimeout: 100 }), { ttl: 60_000 });
    expect(await claim.tryAcquire(soon())).toBeDefined();
    expect(await claim.renew?.(60_000)).toBe(true);
    await claim.release();
    members[4]!.state = "down";
    const since = performance.now();
    const error = await failure(claimOf(quorum(members, { names, memberTimeout: 100 })).tryAcquire(soon(10_000)));
    expect(performance.now() - since).toBeLessThan(600);
    expect(error).toMatchObject({ code: "LOCK_BACKEND", retryable: true, noEffect: false, key: "k" });
    expect(error.message).toMatch(
      /^2 of 5 members answered about "k", 3 are needed; no answer from b \(b is down\), d \(.* \d+ ms .*\), e \(e is down\)$/,
    );
    await until(async () => (await heldBy(members)) === "-----");
  });

  test("makes new claims in every round, none of which joins a line", async () => {
    const members = five();
    const others = members.slice(0, 3).map(({ inner }) => claimOf(inner));
    await Promise.all(others.map((other) => other.tryAcquire(soon())));
    const claim = claimOf(quorum(members));
    expect(await claim.tryAcquire(soon())).toBeUndefined();
    for (const { inner } of members) expect((await inner.inspect!("k")).waiters).toEqual([]);
    expect(await heldBy(members)).toBe("abc--");
    await Promise.all(others.map((other) => other.release()));
    expect(await claim.tryAcquire(soon())).toBeDefined();
    const requests = members.flatMap((one) => one.requests).filter(({ key }) => key === "k");
    expect(requests.every(({ join }) => !join)).toBe(true);
    expect(new Set(requests.map(({ id }) => id)).size).toBe(requests.length);
    await claim.release();
  });

  test("undoes what a member grants too late", async () => {
    const members = five();
    for (const one of members.slice(2)) one.delay = 150;
    const claim = claimOf(quorum(members, { memberTimeout: 50 }), { ttl: 60_000 });
    expect((await failure(claim.tryAcquire(soon()))).message).toMatch(/^2 of 5/);
    await sleep(150);
    await until(async () => (await heldBy(members)) === "-----");
    members[2]!.delay = 0;
    // In time for their own limit, but long after a majority has decided.
    const other = claimOf(quorum(members), { ttl: 60_000 });
    expect(await other.tryAcquire(soon())).toBeDefined();
    await sleep(200);
    await until(async () => (await heldBy(members)) === "abc--");
    await other.release();
  });

  test("does not take a refusal by what it left behind for an answer", async () => {
    const members = five();
    for (const one of members) [one.state, one.stuck] = ["deaf", true];
    const claim = claimOf(quorum(members, { memberTimeout: 50 }), { ttl: 60_000 });
    expect((await failure(claim.tryAcquire(soon()))).message).toMatch(/^0 of 5/);
    expect(await heldBy(members)).toBe("abcde");
    for (const one of members) one.state = "up";
    const error = await failure(claim.tryAcquire(soon()));
    expect(error.message).toMatch(/^0 of 5 .* member 1 \(has not confirmed yet that an earlier claim to "k" is gone\)/);
    for (const one of members) one.stuck = false;
    await until(async () => (await claim.tryAcquire(soon()).catch(() => undefined)) !== undefined);
    await claim.release();
  });

  test("counts a hold that would end soon as refused, and gives it up everywhere", async () => {
    const members = five();
    for (const one of members) one.delay = 190;
    const claim = claimOf(quorum(members, { memberTimeout: 1_000 }), { ttl: 200 });
    expect(await claim.tryAcquire(soon())).toBeUndefined();
    await until(async () => (await heldBy(members)) === "-----", 400);
  });

  test("has a winner where votes are split", async () => {
    for (let round = 0; round < 8; round++) {
      const members = five();
      const contenders = Array.from({ length: 4 }, (_, place) => {
        // Each meets another member first.
        const turned = [...members.slice(place), ...members.slice(0, place)];
        return claimOf(quorum(turned.map((one, n) => delayed(one, n))), { ttl: 60_000 });
      });
      const tokens = await Promise.all(contenders.map((claim) => claim.tryAcquire(soon(5_000))));
      expect(tokens.filter((token) => token !== undefined)).toHaveLength(1);
    }
  });

  test("is renewed by a majority, gone when that says so, and unknown else", async () => {
    const members = five();
    const claim = claimOf(quorum(members, { names, memberTimeout: 100 }), { ttl: 60_000 });
    await claim.tryAcquire(soon());
    members[0]!.state = "silent";
    members[1]!.state = "down";
    expect(await claim.renew?.(60_000)).toBe(true);
    members[0]!.state = "down";
    members[2]!.state = "down";
    const error = await failure(claim.renew!(60_000));
    expect(error).toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    expect(error.message).toMatch(/no answer from a .*, b .*, c /);
    await Promise.all(members.slice(2).map(({ inner }) => inner.forceRelease!("k")));
    members[2]!.state = "up";
    expect(await claim.renew?.(60_000)).toBe(false);
  });

  test("counts the answers to a renewal however long they take, while the lease can last that they prove", async () => {
    const members = five();
    const claim = claimOf(quorum(members, { memberTimeout: 50 }), { ttl: 1_000 });
    await claim.tryAcquire(soon());
    for (const each of members) each.delay = 400;
    expect(await claim.renew?.(1_000)).toBe(true);
    for (const each of members) each.delay = 0;
    await claim.release();
  });

  test("does not count the late answer of a member that has said meanwhile that its part is gone", async () => {
    const members = ["a", "b", "c"].map((name) => member(name));
    const gate = deferred();
    let [isLate, late] = [true, gate.promise];
    const slow = members.map((each) => ({
      ...each,
      claim: (request: ClaimRequest) => {
        const claim = each.claim(request) as LeaseClaim;
        const renew = async (ttl: number) => {
          const alive = await claim.renew(ttl);
          if (isLate) await late;
          return alive;
        };
        return { ...claim, renew };
      },
    }));
    const claim = claimOf(quorum(slow), { ttl: 60_000 });
    await claim.tryAcquire(soon());
    members[2]!.state = "down";
    const first = claim.renew!(60_000);
    await sleep(10);
    [isLate, late] = [false, Promise.resolve()];
    await members[0]!.inner.forceRelease!("k");
    members[1]!.state = "down";
    await failure(claim.renew!(60_000));
    gate.resolve();
    // One of three is left that may have it.
    await failure(first);
    await claim.release().catch(() => {});
  });

  test("takes a member again that lost its part, when a majority has renewed", async () => {
    const members = five();
    members[4]!.state = "down";
    const claim = claimOf(quorum(members), { ttl: 60_000 });
    const token = await claim.tryAcquire(soon());
    members[4]!.state = "up";
    await members[0]!.inner.forceRelease!("k");
    expect(await heldBy(members)).toBe("-bcd-");
    // The first one to find out; those who have to be undone first come later.
    await until(async () => (await claim.renew?.(60_000)) === true && (await heldBy(members)) === "abcde");
    await Promise.all([members[1]!, members[2]!].map(({ inner }) => inner.forceRelease!("k")));
    expect(await claim.renew?.(60_000)).toBe(true);
    expect(await claim.tryAcquire(soon())).toBe(token);
    await claim.release();
    expect(await heldBy(members)).toBe("-----");
  });

  test("does not count a member that grants anew, because somebody else may have held it", async () => {
    const members = five();
    const claim = claimOf(quorum(members), { ttl: 60_000 });
    const token = await claim.tryAcquire(soon());
    await Promise.all(members.slice(0, 3).map(({ inner }) => inner.forceRelease!("k")));
    expect(await claim.tryAcquire(soon())).toBeUndefined();
    const again = await claim.tryAcquire(soon());
    expect(again! > token!).toBe(true);
    await claim.release();
  });

  test("gives tokens that grow, although the members' clocks are hours apart and majorities change", async () => {
    const hour = 3_600_000;
    const members = names.map((name, place) => member(name, { now: () => Date.now() - place * hour }));
    let last = 0n;
    for (const away of [
      [3, 4],
      [0, 1],
      [2, 4],
      [0, 2],
      [1, 3],
      [0, 4],
    ]) {
      for (const [place, one] of members.entries()) one.state = away.includes(place) ? "down" : "up";
      const claim = claimOf(quorum(members));
      const token = await claim.tryAcquire(soon());
      expect(token! > last).toBe(true);
      last = token!;
      for (const one of members) one.state = "up";
      await claim.release();
    }
  });

  test("hands no token out before a majority was raised to it", async () => {
    const members = five();
    for (const one of members.slice(1)) one.raise = "failing";
    const claim = claimOf(quorum(members), { ttl: 60_000 });
    await expect(claim.tryAcquire(soon())).rejects.toMatchObject({ code: "LOCK_BACKEND" });
    await until(async () => (await heldBy(members)) === "-----");
    members[1]!.raise = members[2]!.raise = "yes";
    expect(await claim.tryAcquire(soon())).toBeDefined();
    await claim.release();
  });

  test("says that its tokens are a best effort where a member cannot raise them", async () => {
    const members = five();
    members[3]!.raise = "left out";
    const provider = quorum(members);
    expect(provider.guarantees.fencing).toBe("best-effort");
    expect(claimOf(provider).raise).toBeUndefined();
    expect(await claimOf(provider).tryAcquire(soon())).toBeDefined();
  });

  test("is given up when a majority is free, and undone at the others in the background", async () => {
    const members = five();
    const claim = claimOf(quorum(members, { memberTimeout: 200 }), { ttl: 60_000 });
    await claim.tryAcquire(soon());
    members[0]!.state = members[1]!.state = "down";
    const since = performance.now();
    await claim.release();
    expect(performance.now() - since).toBeLessThan(100);
    expect(await heldBy(members)).toBe("ab---");
    expect(await claimOf(quorum(members)).tryAcquire(soon())).toBeDefined();
    members[0]!.state = members[1]!.state = "up";
    await until(async () => (await heldBy(members)) === "--cde");
  });

  test("of leases and sessions is certain for as long as a majority is", async () => {
    const lost = new AbortController();
    const ends = [Number.POSITIVE_INFINITY, 40, 30];
    const members = five();
    const since = performance.now();
    const sessions = members.map((one, place): LockProvider => {
      if (place >= ends.length) return one;
      return {
        guarantees: { ...one.guarantees, alive: "session" },
        claim: (request) =>
          Object.assign(one.claim(request), {
            lost: place === 0 ? lost.signal : new AbortController().signal,
            certainUntil: () => since + ends[place]! * 1_000,
            renew: undefined,
          }) as unknown as SessionClaim,
      };
    });
    const claim = claimOf(quorum(sessions), { ttl: 1_000 }) as SessionClaim;
    await claim.tryAcquire(soon());
    expect(claim.certainUntil()).toBe(since + 30_000);
    lost.abort("expired");
    expect(claim.lost.aborted).toBe(false);
    expect(claim.certainUntil()).toBeLessThan(since + 5_000);
    expect(claim.certainUntil()).toBeGreaterThan(performance.now());
    await members[3]!.inner.forceRelease!("k");
    await members[4]!.inner.forceRelease!("k");
    await until(() => claim.lost.aborted, 1_500);
    await claim.release();
  });

  test("does not count a member to which a shorter renewal, which others have answered, may still be on its way", async () => {
    const [a, b, c] = [member("a"), member("b"), member("c")];
    const claim = claimOf(quorum([a, b, c]), { ttl: 2_000 }) as LeaseClaim;
    await claim.tryAcquire(soon());
    c.delay = 100;
    expect(await claim.renew(300)).toBe(true);
    c.delay = 0;
    b.state = "down";
    await expect(claim.renew(2_000)).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    await sleep(150);
    expect((await c.inner.inspect!("k"))!.holders[0]!.expiresIn).toBeLessThanOrEqual(300);
    expect(await claim.renew(2_000)).toBe(true);
    await claim.release();
  });

  test("keeps no process alive for a member that does not answer a renewal", async () => {
    const since = performance.now();
    const output = await runProgram(`
      import { createLocks } from "@dlock/core";
      import { quorum } from "@dlock/core/combinators";
      import { memoryProvider } from "@dlock/core/memory";
      const [one, two, three] = [memoryProvider(), memoryProvider(), memoryProvider()];
      const claim = (request) => Object.assign(three.claim(request), { renew: () => new Promise(() => {}) });
      const locks = await createLocks(quorum([one, two, { ...three, claim }]));
      const lock = await locks.acquire("k");
      await lock.extend(15_000);
      console.log(await lock.release());
    `);
    expect(output).toBe("true\n");
    expect(performance.now() - since).toBeLessThan(10_000);
  });

  test("shows who holds a majority, and closes nothing", async () => {
    const members = five();
    const provider = quorum(members);
    const minority = claimOf(members[0]!.inner, { owner: "on its way" });
    await minority.tryAcquire(soon());
    const claim = claimOf(provider, { owner: "me", ttl: 60_000 });
    const fencingToken = await claim.tryAcquire(soon());
    const status = await provider.inspect?.("k");
    expect(status).toMatchObject({
      key: "k",
      holders: [{ owner: "me", mode: "exclusive", fencingToken }],
      waiters: [],
    });
    expect(status?.holders[0]?.expiresIn).toBeGreaterThan(59_000);
    members[1]!.state = members[2]!.state = "down";
    expect((await provider.inspect?.("k"))?.holders).toEqual([]);
    members[3]!.state = "down";
    await expect(provider.inspect?.("k")).rejects.toMatchObject({ code: "LOCK_BACKEND" });
    expect(provider.close).toBeUndefined();
  });

  test("forces a release at every member that answers in time before it says so: the next holder keeps all of them", async () => {
    const members = five();
    const provider = quorum(members, { memberTimeout: 500 });
    const claim = claimOf(provider, { ttl: 60_000 });
    await claim.tryAcquire(soon());
    members[4]!.delay = 150;
    members[3]!.state = "down";
    expect(await provider.forceRelease?.("k")).toBe(true);
    expect(await heldBy(members)).toBe("---d-");
    const next = claimOf(provider, { ttl: 60_000 });
    members[4]!.delay = 0;
    expect(await next.tryAcquire(soon())).toBeDefined();
    await sleep(200);
    expect(await heldBy(members)).toBe("abcde");
    members[1]!.state = members[2]!.state = "down";
    await expect(provider.forceRelease?.("k")).rejects.toMatchObject({ code: "LOCK_BACKEND" });
  });

  test("serves waiters through createLocks", async () => {
    const members = five();
    const fleets = await Promise.all([1, 2, 3].map(() => createLocks(quorum(members))));
    let inside = 0;
    const work = fleets.flatMap((locks) =>
      Array.from({ length: 5 }, () =>
        locks.withLock("k", async () => {
          expect(++inside).toBe(1);
          await sleep(1);
          inside--;
        }),
      ),
    );
    await Promise.all(work);
    expect(await heldBy(members)).toBe("-----");
  });

  test("refuses members and options that make no quorum", () => {
    const members = five();
    const [one] = members as [Member];
    expect(() => quorum(members.slice(0, 2))).toThrow(/three or more different providers/);
    expect(() => quorum([one, one, one])).toThrow(/three or more different providers/);
    expect(() => quorum(members, { names: ["a"] })).toThrow(/names/);
    expect(() => quorum(members, { memberTimeout: 0 })).toThrow(/memberTimeout/);
    expect(() => quorum(members, { memberTimeOut: 10 } as object)).toThrow(/memberTimeOut/);
    expect(() => quorum([...members.slice(0, 2), "redis:" as unknown as LockProvider])).toThrow(/LockProvider/);
    const semaphores = members.map((member) => ({
      ...member,
      guarantees: { ...member.guarantees, modes: ["exclusive", "semaphore"] as const },
    }));
    expect(quorum(semaphores).guarantees.modes).toEqual(["exclusive"]);
  });
});

/** The same member, a little further away. */
function delayed(inner: Member, ms: number): LockProvider {
  return {
    guarantees: inner.guarantees,
    claim(request) {
      const claim = inner.claim(request);
      const tryAcquire = claim.tryAcquire.bind(claim);
      return Object.assign(claim, {
        tryAcquire: async (deadline: number) => {
          await sleep(ms);
          return tryAcquire(deadline);
        },
      });
    },
  };
}
