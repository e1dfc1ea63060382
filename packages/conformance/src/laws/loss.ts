import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { later, now, sleep, stall, until, within } from "../time.js";
import { aborted, assertToldFirst, TurnWatch } from "../signs.js";
import { hasCode } from "./codes.js";

export const loss: readonly Law[] = [
  {
    id: "loss/told-first",
    title: "a holder whose link is frozen is told by its ttl, and before anybody else is granted the lock",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const [holder, waiter] = [await stage.locks(peer), await stage.locks(other)];
      const key = stage.key();
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      const told = aborted(lock.signal);
      const turns = new TurnWatch();
      const next = later(waiter.acquire(key).then((acquired) => ({ acquired, at: now() })));
      peer.link.freeze();
      const frozenAt = now();
      const toldAt = await within(lock.ttl + stage.slack, told, "the signal of a holder that is cut off");
      assert.ok(toldAt - frozenAt <= lock.ttl + stage.slack);
      assert.throws(() => lock.throwIfLost(), isLost);
      const { acquired, at } = await within(lock.ttl + stage.deadWaiter + stage.slack, next, "the next holder");
      assertToldFirst(toldAt, at, turns);
      peer.link.heal();
      assert.equal(await within(lock.ttl + stage.slack, lock.release(), "the release of a lost hold"), false);
      acquired.throwIfLost();
      await stage.assertTaken(other, key);
    },
  },
  {
    id: "loss/stalled-loop",
    title: "after a stall of the event loop beyond the ttl, throwIfLost throws at the first step",
    alone: true,
    async run(stage) {
      const locks = await stage.locks(await stage.peer());
      const lock = await locks.acquire(stage.key(), { ttl: stage.ttl });
      stall(lock.ttl + 5);
      assert.throws(() => lock.throwIfLost(), isLost);
      assert.equal(lock.signal.aborted, true);
      assert.equal(await lock.release(), false);
    },
  },
  {
    id: "loss/slow-answer",
    title: "the time of a hold counts from before the request was sent, not from the answer",
    needs: ["openLinked"],
    async run(stage) {
      const peer = await stage.linkedPeer();
      const locks = await stage.locks(peer);
      const key = stage.key();
      const warm = await locks.acquire(key, { ttl: stage.ttl });
      await warm.release();
      // Several round trips, as a combination of backends takes, fit into the ttl.
      peer.link.delay(warm.ttl * 0.15);
      const lock = await locks.acquire(key, { ttl: stage.ttl });
      assert.throws(() => lock.throwIfLost(warm.ttl * 0.8), isLost, "the time on the way was not counted");
    },
  },
  {
    id: "loss/cut",
    title: "when the connection breaks, the holder keeps the lock or is told before anybody else has it",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const [holder, waiter] = [await stage.locks(peer), await stage.locks(other)];
      const key = stage.key();
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      const told = aborted(lock.signal);
      const turns = new TurnWatch();
      const next = later(waiter.acquire(key).then(() => now()));
      peer.link.cut();
      const toldAt = await within(lock.ttl + stage.slack, told, "the signal of a holder that is cut off");
      const nextAt = await within(lock.ttl + stage.deadWaiter + stage.slack, next, "the next holder");
      assertToldFirst(toldAt, nextAt, turns);
    },
  },
  {
    id: "loss/forced",
    title: "a holder whose lock was released by force is told",
    offer: "forceRelease",
    async run(stage) {
      const [peer, other] = [await stage.peer(), await stage.peer()];
      const locks = await stage.locks(peer);
      const key = stage.key();
      const lock = await locks.acquire(key, { ttl: stage.ttl });
      const told = aborted(lock.signal);
      assert.equal(await other.provider.forceRelease?.(key), true);
      await within(lock.ttl + stage.slack, told, "the signal of a holder whose lock was released by force");
      assert.equal(await lock.release(), false);
    },
  },
  {
    id: "loss/own-end",
    title: "without renewal a hold ends at its ttl, the holder is told, and the lock is free soon after",
    async run(stage) {
      const [peer, other] = [await stage.peer(), await stage.peer()];
      const locks = await stage.locks(peer);
      const key = stage.key();
      const askedAt = now();
      const lock = await locks.acquire(key, { ttl: stage.ttl, autoRenew: false });
      const toldAt = await within(stage.ttl + stage.slack, aborted(lock.signal), "the signal");
      assert.ok(toldAt - askedAt >= stage.ttl * 0.9, "told long before the ttl was over");
      await stage.assertFree(other, key, lock.ttl + stage.slack);
      assert.equal(await lock.release(), false);
    },
  },
  {
    id: "loss/result-kept",
    title: "a task that returned although its hold was lost rejects with LockLostError, which carries the result",
    async run(stage) {
      const locks = await stage.locks(await stage.peer());
      const outlasting = locks.withLock(stage.key(), { ttl: stage.ttl, autoRenew: false }, async (lock) => {
        await until(() => lock.signal.aborted, stage.ttl + stage.slack, "the signal");
        return 42;
      });
      await assert.rejects(outlasting, (error: Error) => isLost(error) && "result" in error && error.result === 42);
      const failing = locks.withLock(stage.key(), { ttl: stage.ttl, autoRenew: false }, async (lock) => {
        await until(() => lock.signal.aborted, stage.ttl + stage.slack, "the signal");
        throw new RangeError("the task's own");
      });
      await assert.rejects(failing, RangeError);
    },
  },
  {
    id: "loss/orderly",
    title: "an orderly release is not a loss, nor is it one when the provider closes after it",
    async run(stage) {
      const peer = await stage.peer();
      const lost: unknown[] = [];
      const locks = await stage.locks(peer, { on: { lost: (event) => lost.push(event) } });
      const lock = await locks.acquire(stage.key(), { ttl: stage.ttl });
      assert.equal(await lock.release(), true);
      await locks.withLock(stage.key(), { ttl: stage.ttl }, async () => {});
      await locks.close();
      await peer.close();
      await sleep(stage.ttl);
      assert.equal(lock.signal.aborted, false);
      assert.deepEqual(lost, []);
    },
  },
];

const isLost = hasCode("LOCK_LOST");
