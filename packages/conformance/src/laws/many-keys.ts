import assert from "node:assert/strict";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { contended } from "../signs.js";
import { later, now, sleep, within } from "../time.js";

export const manyKeys: readonly Law[] = [
  {
    id: "many-keys/any-order",
    title:
      "processes that want the same keys, in whatever order they name them, all get all of them, one after the other",
    async run(stage) {
      const keys = keysOf(stage);
      const orders = [keys, keys.toReversed(), [...keys.slice(1), ...keys]];
      let inside = 0;
      const work = async (order: readonly string[]): Promise<void> => {
        const locks = await stage.locks(await stage.peer());
        for (let round = 0; round < 3; round++) {
          const set = await locks.acquireAll(order);
          assert.equal(++inside, 1, "two hold the same keys");
          await sleep(1);
          set.throwIfLost();
          inside--;
          assert.equal(await set.release(), true);
        }
      };
      await within(3_000 + 10 * stage.slack, Promise.all(orders.map(work)), "all of them");
    },
  },
  {
    id: "many-keys/kept",
    title: "while the rest of several keys is waited for, those that are held are kept, however long it takes",
    async run(stage) {
      const [locks, other] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const [first, second] = keysOf(stage);
      const busy = await other.acquire(second);
      const refused = contended(locks);
      const wanted = later(locks.acquireAll([second, first], { ttl: stage.ttl }));
      await within(2_000 + stage.slack, refused, "being told to wait");
      for (const end = now() + 1.3 * stage.ttl; now() < end; await sleep(stage.ttl / 10)) {
        assert.equal(await other.tryAcquire(first), undefined, "what is held was given to somebody else");
      }
      await busy.release();
      const set = await within(stage.slack, wanted, "all of the keys");
      set.throwIfLost();
      assert.equal(await set.release(), true);
    },
  },
  {
    id: "many-keys/none",
    title: "when the wait for several keys is given up, none of them is held, and no place in line is kept",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [locks, other] = [await stage.locks(here), await stage.locks(there)];
      const [first, second, last] = keysOf(stage);
      const busy = await other.acquire(last);
      const refused = contended(locks);
      const aborter = new AbortController();
      const wanted = later(locks.acquireAll([first, second, last], { signal: aborter.signal }));
      await within(2_000 + stage.slack, refused, "being told to wait");
      aborter.abort("enough");
      await assert.rejects(wanted, (reason) => reason === "enough");
      for (const key of [second, first]) await stage.assertFree(there, key);
      await busy.release();
      await stage.assertFree(there, last);
    },
  },
  {
    id: "many-keys/lost",
    title: "one of several keys that is lost while the rest is waited for is taken anew, with a larger token",
    offer: "forceRelease",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [locks, other] = [await stage.locks(here), await stage.locks(there)];
      const [first, second] = keysOf(stage);
      const busy = await other.acquire(second);
      const refused = contended(locks);
      const lost = new Promise<bigint>((resolve) => locks.on("lost", ({ fencingToken }) => resolve(fencingToken)));
      const wanted = later(locks.acquireAll([first, second], { ttl: stage.ttl }));
      await within(2_000 + stage.slack, refused, "being told to wait");
      assert.equal(await there.provider.forceRelease?.(first), true);
      const token = await within(stage.ttl + stage.slack, lost, "being told of the loss");
      await busy.release();
      const set = await within(2 * stage.slack, wanted, "all of the keys");
      set.throwIfLost();
      await stage.assertTaken(there, first);
      assert.ok((set.locks[0]?.fencingToken ?? 0n) > token, "a key that was taken anew has no larger token");
      assert.equal(await set.release(), true);
    },
  },
];

/** In their order. */
function keysOf(stage: Stage): [string, string, string] {
  const key = stage.key();
  return [`${key}-a`, `${key}-b`, `${key}-c`];
}
