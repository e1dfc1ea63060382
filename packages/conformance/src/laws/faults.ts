import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { contended } from "../signs.js";
import { later, now, sleep, within } from "../time.js";
import { hasCode } from "./codes.js";
import { assertGrew } from "./tokens.js";

export const faults: readonly Law[] = [
  {
    id: "faults/late-attempt",
    title: "an attempt that got no answer is rejected by its deadline, and takes no effect after it",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const key = stage.key();
      await stage.assertFree(peer, key);
      const claim = stage.claim(peer, { key });
      peer.link.freeze();
      const patience = stage.slack / 2;
      const outcome = claim.tryAcquire(now() + patience).then(
        (token) => assert.fail(`answered ${String(token)} although nobody could know`),
        () => {},
      );
      await within(patience + stage.slack, outcome, "a tryAcquire that gets no answer");
      await sleep(20);
      peer.link.heal();
      for (const end = now() + stage.slack; now() < end; await sleep(10)) await stage.assertFree(other, key);
    },
  },
  {
    id: "faults/late-call",
    title: "a call that timed out while the backend was silent leaves nothing behind when it answers again",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const locks = await stage.locks(peer, { backendTimeout: 2 * stage.slack });
      const key = stage.key();
      await locks.withLock(key, async () => {});
      peer.link.freeze();
      const since = now();
      await assert.rejects(locks.acquire(key, { waitTimeout: 100 }), hasCode("LOCK_TIMEOUT"));
      assert.ok(now() - since <= 100 + stage.slack, "waitTimeout is not kept while the backend is silent");
      peer.link.heal();
      await stage.assertFree(other, key, 1_000 + 3 * stage.slack);
      await sleep(stage.slack);
      await stage.assertFree(other, key);
    },
  },
  {
    id: "faults/slow-attempt",
    title: "a release overtakes no attempt that is still on its way: nothing is left when both have arrived",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const key = stage.key();
      await stage.assertFree(peer, key);
      peer.link.delay(stage.slack / 4);
      const claim = stage.claim(peer, { key });
      const attempt = claim.tryAcquire(now() + 5_000).catch(() => undefined);
      await sleep(10);
      await within(5_000, claim.release(), "release");
      await within(5_000, attempt, "tryAcquire");
      await stage.assertFree(other, key);
    },
  },
  {
    id: "faults/silent-backend",
    title: "a backend that stays silent ends every call with LockBackendError after backendTimeout",
    needs: ["openLinked"],
    async run(stage) {
      const peer = await stage.linkedPeer();
      const locks = await stage.locks(peer);
      const [key, options] = [stage.key(), { backendTimeout: 150 }];
      await locks.withLock(key, async () => {});
      peer.link.freeze();
      const calls = Promise.all([
        assert.rejects(locks.acquire(key, options), hasCode("LOCK_BACKEND")),
        assert.rejects(locks.tryAcquire(stage.key(), options), hasCode("LOCK_BACKEND")),
        assert.rejects(locks.acquire(stage.key(), { ...options, waitTimeout: 0 }), hasCode("LOCK_BACKEND")),
      ]);
      await within(150 + stage.slack, calls, "calls to a silent backend");
      peer.link.heal();
      const again = await within(2_000 + stage.slack, locks.acquire(key), "acquire, when the backend answers again");
      assert.equal(await again.release(), true);
    },
  },
  {
    id: "faults/ridden-out",
    title: "a waiter rides out a broken connection and is served when it is back",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const [waiter, holder] = [await stage.locks(peer), await stage.locks(other)];
      const key = stage.key();
      const lock = await holder.acquire(key);
      const waits = contended(waiter);
      const next = later(waiter.acquire(key));
      await within(2 * stage.slack, waits, "waiting");
      peer.link.cut();
      await sleep(stage.slack / 2);
      peer.link.heal();
      // Long enough to be back.
      await sleep(stage.slack);
      await lock.release();
      const served = await within(2_000 + stage.ttl + stage.slack, next, "the waiter");
      assert.equal(await served.release(), true);
    },
  },
  {
    id: "faults/missed-turn",
    title: "a waiter whose turn comes while its connection is broken is served when it is back",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const [waiter, holder] = [await stage.locks(peer), await stage.locks(other)];
      const key = stage.key();
      const lock = await holder.acquire(key);
      const waits = contended(waiter);
      const next = later(waiter.acquire(key, { ttl: stage.ttl }));
      await within(2 * stage.slack, waits, "waiting");
      peer.link.cut();
      await lock.release();
      await sleep(stage.slack / 2);
      peer.link.heal();
      await within(2_000 + 2 * stage.ttl + stage.slack, next, "the waiter");
    },
  },
  {
    id: "faults/lost-release",
    title: "a release whose answer is lost frees the lock, and does not hang",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const locks = await stage.locks(peer);
      const key = stage.key();
      const lock = await locks.acquire(key, { ttl: stage.ttl });
      peer.link.dropReplies();
      const released = lock.release();
      await stage.assertFree(other, key, lock.ttl + stage.slack);
      await within(lock.ttl + stage.slack, released, "release");
    },
  },
  {
    id: "faults/dead-head",
    title: "a dead waiter at the head of the line holds up those behind it for a bounded time only",
    needs: ["openLinked"],
    async run(stage) {
      const [dying, other] = [await stage.linkedPeer(), await stage.peer()];
      const key = stage.key();
      const holder = stage.claim(other, { key });
      await stage.win(holder);
      const dead = stage.claim(dying, { key, ttl: stage.ttl });
      assert.equal(await stage.ask(dead), undefined);
      const next = await stage.locks(other);
      const waiting = later(next.acquire(key, { ttl: stage.ttl }));
      dying.link.freeze();
      await holder.release();
      const bound = Math.max(stage.deadWaiter, stage.lifetime(dead));
      const lock = await within(bound + stage.slack, waiting, "the waiter behind a dead one");
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "faults/nothing-unhandled",
    title: "nothing is thrown into the process when links freeze and break under holders, waiters and close",
    needs: ["openLinked"],
    alone: true,
    async run(stage) {
      const unhandled: unknown[] = [];
      const note = (reason: unknown): void => void unhandled.push(reason);
      process.on("unhandledRejection", note);
      process.on("uncaughtException", note);
      stage.finally(() => {
        process.off("unhandledRejection", note);
        process.off("uncaughtException", note);
      });
      for (const fault of ["freeze", "cut", "dropReplies"] as const) {
        const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
        const locks = await stage.locks(peer, { backendTimeout: stage.ttl });
        const [held, wanted] = [stage.key(), stage.key()];
        await locks.acquire(held, { ttl: stage.ttl });
        const blocker = stage.claim(other, { key: wanted });
        await stage.win(blocker);
        const waits = [locks.acquire(wanted), locks.tryAcquire(wanted), locks.acquire(wanted, { waitTimeout: 20 })];
        const settled = Promise.allSettled(waits);
        await sleep(5);
        peer.link[fault]();
        await sleep(stage.ttl);
        await blocker.release();
        const closed = locks.close();
        await sleep(5);
        peer.link.heal();
        await within(stage.ttl + 2_000 + stage.slack, closed, "close");
        await within(stage.ttl + 2_000 + stage.slack, settled, "all calls");
      }
      assert.deepEqual(unhandled, []);
    },
  },
  {
    id: "faults/client-clock",
    title: "a client whose wall clock is an hour off, either way, ends no hold of others and gets no smaller token",
    alone: true,
    async run(stage) {
      const key = stage.key();
      const holder = stage.claim(await stage.peer(), { key });
      const { token } = await stage.win(holder);
      stage.finally(shiftWallClock(3_600_000));
      const other = stage.claim(await stage.peer(), { key });
      assert.equal(await stage.ask(other), undefined, "a lock that is held was given to somebody else");
      stage.finally(shiftWallClock(-3_600_000));
      assert.equal(await stage.ask(other), undefined, "a lock that is held was given to somebody else");
      await holder.release();
      assertGrew((await stage.win(other)).token, token);
    },
  },
];

const RealDate = globalThis.Date;

/** What this process takes for the time of day. Returns how to set it right. */
function shiftWallClock(offset: number): () => void {
  globalThis.Date = new Proxy(RealDate, {
    construct: (_, args) =>
      args.length === 0 ? new RealDate(RealDate.now() + offset) : Reflect.construct(RealDate, args),
    get: (_, name) => (name === "now" ? () => RealDate.now() + offset : Reflect.get(RealDate, name)),
  });
  return () => void (globalThis.Date = RealDate);
}
