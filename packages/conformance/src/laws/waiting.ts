import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { later, now, sleep, within } from "../time.js";
import { hasCode } from "./codes.js";

export const waiting: readonly Law[] = [
  {
    id: "waiting/free-again",
    title: "a lock that was given up is free at once, for this process and for others",
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      for (const peer of [...peers, ...peers]) {
        const claim = stage.claim(peer, { key });
        await stage.win(claim);
        await claim.release();
      }
    },
  },
  {
    id: "waiting/try-once",
    title: "tryAcquire and waitTimeout: 0 do not wait, and leave no place in line",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [holder, other] = [await stage.locks(here), await stage.locks(there)];
      const key = stage.key();
      const lock = await holder.acquire(key);
      assert.equal(await within(stage.slack, other.tryAcquire(key), "tryAcquire"), undefined);
      const zero = other.acquire(key, { waitTimeout: 0 });
      await assert.rejects(within(stage.slack, zero, "waitTimeout: 0"), hasCode("LOCK_TIMEOUT"));
      await lock.release();
      await stage.assertFree(here, key);
    },
  },
  {
    id: "waiting/no-place",
    title: "a claim that does not join leaves no place in line when it is refused",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const holder = stage.claim(here, { key });
      await stage.win(holder);
      const passer = stage.claim(there, { key, join: false });
      assert.equal(await stage.ask(passer), undefined);
      await holder.release();
      const stranger = stage.claim(here, { key, join: false });
      assert.notEqual(await stage.ask(stranger), undefined, "the lock is kept for a claim that did not join");
    },
  },
  {
    id: "waiting/timeout",
    title: "waitTimeout is a strict deadline, and leaves no late grant behind",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [holder, waiter] = [await stage.locks(here), await stage.locks(there)];
      for (const waitTimeout of [1, 60, 150]) {
        const key = stage.key();
        const lock = await holder.acquire(key);
        const since = now();
        await assert.rejects(waiter.acquire(key, { waitTimeout }), hasCode("LOCK_TIMEOUT"));
        const waited = now() - since;
        assert.ok(waited >= waitTimeout - 1, `gave up after ${waited} of ${waitTimeout} ms`);
        assert.ok(waited <= waitTimeout + Math.min(stage.slack, 200), `gave up after ${waited} of ${waitTimeout} ms`);
        await lock.release();
        await stage.assertFree(here, key);
      }
    },
  },
  {
    id: "waiting/late-grant",
    title: "a lock that is given up as the wait for it ends goes to the waiter or stays free, never to nobody",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [holder, waiter] = [await stage.locks(here), await stage.locks(there)];
      const key = stage.key();
      for (let round = 0; round < 20; round++) {
        const lock = await holder.acquire(key);
        const next = waiter.acquire(key, { waitTimeout: 10 }).catch(() => undefined);
        await sleep(7 + Math.random() * 5);
        await lock.release();
        await (await next)?.release();
        await stage.assertFree(here, key);
      }
    },
  },
  {
    id: "waiting/abandoned",
    title: "a wait that is aborted at any moment rejects at once with the signal's reason and leaves nothing behind",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [holder, waiter] = [await stage.locks(here), await stage.locks(there)];
      const key = stage.key();
      await assert.rejects(
        waiter.acquire(key, { signal: AbortSignal.abort("before") }),
        (reason) => reason === "before",
      );
      await stage.assertFree(here, key);
      for (let round = 0; round < 20; round++) {
        const held = round % 2 === 0 ? await holder.acquire(key) : undefined;
        const aborter = new AbortController();
        const wait = waiter.acquire(key, { signal: aborter.signal });
        const outcome = wait.then(
          (lock) => lock.release(),
          (reason: unknown) => assert.equal(reason, aborter.signal.reason),
        );
        await sleep(Math.random() * 6);
        aborter.abort(`round ${round}`);
        await within(stage.slack, outcome, "an aborted wait");
        await held?.release();
        await stage.assertFree(here, key);
      }
    },
  },
  {
    id: "waiting/abort-in-section",
    title: "the signal of a wait has no power over the hold that was won",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const locks = await stage.locks(here);
      const key = stage.key();
      const aborter = new AbortController();
      const lock = await locks.acquire(key, { signal: aborter.signal });
      aborter.abort();
      await sleep(5);
      lock.throwIfLost();
      await stage.assertTaken(there, key);
      assert.equal(await lock.release(), true);
      await stage.assertFree(there, key);
    },
  },
  {
    id: "waiting/everybody-served",
    title: "fifty waiters of five processes are all served",
    async run(stage) {
      const key = stage.key();
      let [inside, served] = [0, 0];
      const section = async (): Promise<void> => {
        assert.equal(++inside, 1);
        await Promise.resolve();
        served++;
        inside--;
      };
      const waits: Promise<void>[] = [];
      const first = await stage.locks(await stage.peer());
      const lock = await first.acquire(key);
      for (let process = 0; process < 5; process++) {
        const locks = await stage.locks(await stage.peer());
        for (let waiter = 0; waiter < 10; waiter++) {
          waits.push(later(locks.withLock(key, section)));
        }
      }
      const all = later(Promise.all(waits));
      await lock.release();
      await within(5_000 + 50 * stage.slack, all, "fifty waiters");
      assert.equal(served, 50);
    },
  },
];
