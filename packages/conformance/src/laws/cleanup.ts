import assert from "node:assert/strict";
import type { LockMode } from "@dlock/core";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { later, now, sleep, until, within } from "../time.js";
import { hasCode } from "./codes.js";

export const cleanup: readonly Law[] = [
  {
    id: "cleanup/close",
    title: "close ends waiters at once, aborts running holds before it releases them, and leaves the locks free",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [locks, other] = [await stage.locks(here), await stage.locks(there)];
      const [held, wanted] = [stage.key(), stage.key()];
      const lock = await locks.acquire(held);
      const theirs = await other.acquire(wanted);
      const waiter = later(locks.acquire(wanted));
      const next = later(other.acquire(held).then(() => lock.signal.aborted));
      const closed = locks.close();
      await assert.rejects(within(stage.slack, waiter, "a waiter, when its locks close"), hasCode("LOCK_CLOSED"));
      await within(2 * stage.slack, closed, "close");
      assert.equal(
        await within(stage.slack, next, "the next holder"),
        true,
        "granted to another before the signal aborted",
      );
      await assert.rejects(locks.acquire(held), hasCode("LOCK_CLOSED"));
      assert.equal(await lock.release(), false);
      await theirs.release();
      await stage.assertFree(there, wanted);
    },
  },
  {
    id: "cleanup/grace",
    title: "close gives a running section its time, and no more",
    async run(stage) {
      const locks = await stage.locks(await stage.peer());
      let running = 0;
      const quick = later(
        locks.withLock(stage.key(), async () => {
          running++;
          await sleep(30);
        }),
      );
      const slow = later(
        locks.withLock(stage.key(), async (lock) => {
          running++;
          await until(() => lock.signal.aborted, 200 + 2 * stage.slack, "the signal");
        }),
      );
      await until(() => running === 2, 2 * stage.slack, "both sections");
      const since = now();
      const closed = locks.close({ grace: 100 });
      await quick;
      await assert.rejects(slow, hasCode("LOCK_LOST"));
      assert.ok(now() - since >= 98, "the section did not get its time");
      await within(100 + 2 * stage.slack, closed, "close");
    },
  },
  {
    id: "cleanup/close-twice",
    title: "closing a provider twice does nothing more than closing it once",
    async run(stage) {
      const peer = await stage.peer();
      const claim = stage.claim(peer, { key: stage.key() });
      await stage.win(claim);
      await claim.release();
      await Promise.all([peer.provider.close?.(), peer.provider.close?.()]);
      await peer.provider.close?.();
    },
  },
  {
    id: "cleanup/residue",
    title: "after many keys were used in every way, the store holds what it held before",
    needs: ["residue"],
    alone: true,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [locks, other] = [await stage.locks(here), await stage.locks(there)];
      await stage.assertFree(here, stage.key());
      const before = (await stage.harness.residue?.()) ?? [];
      for (let round = 0; round < 10; round++) {
        const key = stage.key();
        const lock = await locks.acquire(key, { ttl: stage.ttl });
        await other.tryAcquire(key);
        await other.acquire(key, { waitTimeout: 1 }).catch(() => {});
        await other.acquire(key, { signal: AbortSignal.timeout(1) }).catch(() => {});
        const next = later(other.withLock(key, async () => {}));
        await lock.release();
        await next;
        stage.claim(here, { key });
        await stage.claim(here, { key }).release();
      }
      for (const options of familyOf(stage)) {
        const key = stage.key();
        const held = await Promise.all([locks, other].map((one) => one.acquire(key, { ...options, ttl: stage.ttl })));
        const one = await other.acquire(key, { limit: options.limit, waitTimeout: 1 }).catch(() => undefined);
        await one?.release();
        await Promise.all(held.map((lock) => lock.release()));
      }
      await until(
        async () => (await newIn(stage, before)).length === 0,
        stage.ttl + stage.slack,
        "an empty store",
      ).catch(async () => assert.deepEqual(await newIn(stage, before), []));
    },
  },
  {
    id: "cleanup/dead-residue",
    title: "what a dead holder left in the store goes when its time is over, at the latest while others use the store",
    needs: ["residue"],
    lapses: true,
    alone: true,
    async run(stage) {
      const [mortal, other] = [await stage.mortal(), await stage.peer()];
      await stage.assertFree(other, stage.key());
      const before = (await stage.harness.residue?.()) ?? [];
      for (const request of [{}, {}, {}, ...familyOf(stage)])
        await stage.win(stage.claim(mortal, { key: stage.key(), ttl: stage.ttl, ...request }));
      stage.vanish(mortal);
      const end = now() + 2 * stage.ttl + 2 * stage.slack;
      while ((await newIn(stage, before)).length > 0 && now() < end) {
        await stage.assertFree(other, stage.key());
        await sleep(5);
      }
      assert.deepEqual(await newIn(stage, before), []);
    },
  },
];

/** Holds that others may share, in every mode that there is. */
function familyOf({ harness }: Stage): readonly { readonly mode: LockMode; readonly limit: number }[] {
  const { modes } = harness.guarantees;
  return [
    ...(modes.includes("shared") ? [{ mode: "shared", limit: 1 } as const] : []),
    ...(modes.includes("semaphore") ? [{ mode: "exclusive", limit: 2 } as const] : []),
  ];
}

async function newIn(stage: Stage, before: readonly string[]): Promise<readonly string[]> {
  return ((await stage.harness.residue?.()) ?? []).filter((name) => !before.includes(name));
}
