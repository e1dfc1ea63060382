import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { contended } from "../signs.js";
import { later, sleep, within } from "../time.js";

const again = { reentrant: true } as const;

export const reentry: readonly Law[] = [
  {
    id: "reentry/one-hold",
    title:
      "a section inside of a section shares its hold: what it extends is extended for both, and ends with the outer",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const locks = await stage.locks(here);
      const key = stage.key();
      await locks.withLock(key, { ttl: stage.ttl, autoRenew: false }, async (outer) => {
        await locks.withLock(key, again, async (inner) => {
          assert.equal(inner.fencingToken, outer.fencingToken);
          await inner.extend(3 * stage.ttl);
        });
        await stage.assertTaken(there, key);
        await sleep(1.2 * stage.ttl);
        outer.throwIfLost();
        await stage.assertTaken(there, key);
      });
      await stage.assertFree(there, key);
    },
  },
  {
    id: "reentry/left-running",
    title: "what a section left running and comes after it waits like anybody else, for a hold with a larger token",
    async run(stage) {
      const [locks, other] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const key = stage.key();
      let go = (): void => {};
      const gate = new Promise<void>((resolve) => (go = resolve));
      let child: Promise<bigint> | undefined;
      await locks.withLock(key, () => {
        child = later(gate.then(() => locks.withLock(key, again, (lock) => lock.fencingToken)));
      });
      const stranger = await other.acquire(key);
      const refused = contended(locks);
      go();
      await within(2_000 + stage.slack, refused, "being told to wait");
      stranger.throwIfLost();
      assert.equal(await stranger.release(), true);
      const token = await within(stage.slack, Promise.resolve(child), "what was left running");
      assert.ok(token !== undefined && token > stranger.fencingToken, "it got a smaller token than the one before it");
    },
  },
];
