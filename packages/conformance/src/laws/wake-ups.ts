import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { counted } from "../counted.js";
import type { Law } from "../law.js";
import { later, now, sleep, within } from "../time.js";
import { polling } from "./exemptions.js";

export const wakeUps: readonly Law[] = [
  {
    id: "wake-ups/came-before",
    title: "waitTurn returns when the turn came before it was called",
    offer: "waitTurn",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const holder = stage.claim(here, { key });
      await stage.win(holder);
      const waiter = stage.claim(there, { key });
      assert.equal(await stage.ask(waiter), undefined);
      await holder.release();
      await sleep(20);
      await returns(stage.slack, (signal) => waiter.waitTurn?.(signal), "waitTurn, called after the turn came");
      await stage.win(waiter);
    },
  },
  {
    id: "wake-ups/none-lost",
    title: "a release at any moment around tryAcquire and waitTurn wakes the waiter",
    offer: "waitTurn",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      for (let round = 0; round < 60; round++) {
        const key = stage.key();
        const holder = stage.claim(here, { key });
        await stage.win(holder);
        const waiter = stage.claim(there, { key });
        const released = later(sleep((round % 6) * Math.random()).then(() => holder.release()));
        while ((await stage.ask(waiter)) === undefined) {
          await returns(stage.slack, (signal) => waiter.waitTurn?.(signal), `waitTurn in round ${round}`);
        }
        await released;
        await waiter.release();
      }
    },
  },
  {
    id: "wake-ups/expiry",
    title: "waitTurn returns soon after the hold of a dead holder ended",
    lapses: true,
    offer: "waitTurn",
    async run(stage) {
      const [mortal, other] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const dead = stage.claim(mortal, { key, ttl: stage.ttl });
      const { askedAt } = await stage.win(dead);
      stage.vanish(mortal);
      const end = stage.lifetime(dead) + stage.slack;
      const waiter = stage.claim(other, { key });
      while ((await stage.ask(waiter)) === undefined) {
        await returns(askedAt + end - now(), (signal) => waiter.waitTurn?.(signal), "waitTurn, after the holder died");
      }
    },
  },
  {
    id: "wake-ups/abort",
    title: "waitTurn returns when its signal aborts, or had aborted before, and leaves no listener on it",
    offer: "waitTurn",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      await stage.win(stage.claim(here, { key }));
      for (const delay of [undefined, 0, 5, 20]) {
        const waiter = stage.claim(there, { key });
        assert.equal(await stage.ask(waiter), undefined);
        const aborter = new AbortController();
        if (delay === undefined) aborter.abort();
        else setTimeout(() => aborter.abort(), delay);
        await within(
          stage.slack + (delay ?? 0),
          Promise.resolve(waiter.waitTurn?.(aborter.signal)),
          "waitTurn, aborted",
        );
        assert.equal(getEventListeners(aborter.signal, "abort").length, 0, "a listener is left on the signal");
        await waiter.release();
      }
    },
  },
  {
    id: "wake-ups/push",
    title: "a waiter does not poll: it asks a bounded number of times, and is served soon after the release",
    exempt: polling,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const watched = counted(there.provider);
      const [holder, waiter] = [await stage.locks(here), await stage.locks(watched)];
      const key = stage.key();
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      const next = later(waiter.acquire(key));
      await sleep(3 * lock.ttl);
      const asked = watched.calls("tryAcquire");
      assert.ok(asked <= 8, `${asked} tries while the holder renewed for three times its ttl`);
      assert.equal(await lock.release(), true);
      await within(stage.slack, next, "the waiter, after the release");
    },
  },
];

/** Runs `wait`, which has to return by itself within `ms`; whatever happens, its signal aborts in the end. */
async function returns(
  ms: number,
  wait: (signal: AbortSignal) => Promise<void> | undefined,
  what: string,
): Promise<void> {
  const aborter = new AbortController();
  try {
    await within(ms, Promise.resolve(wait(aborter.signal)), what);
  } finally {
    aborter.abort();
  }
}
