import assert from "node:assert/strict";
import type { AcquireOptions } from "@dlock/core";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { now, within } from "../time.js";
import { hasCode } from "./codes.js";
import { leased, single, unleased, unshared } from "./exemptions.js";

export const endings: readonly Law[] = [
  {
    id: "expire/ends",
    title: "a lock that is left to end by itself ends at the time that was asked for, sooner or later than its ttl",
    exempt: unleased,
    async run(stage) {
      await Promise.all([left(stage, stage.longTtl, stage.ttl), left(stage, stage.ttl, 2.5 * stage.ttl)]);
    },
  },
  {
    id: "expire/shared",
    title: "a reader that is left to end by itself keeps writers out until then, and no longer",
    exempt: (guarantees) => unleased(guarantees) ?? unshared(guarantees),
    async run(stage) {
      await Promise.all([
        left(stage, stage.longTtl, stage.ttl, { mode: "shared" }),
        left(stage, stage.ttl, 2.5 * stage.ttl, { mode: "shared" }),
      ]);
    },
  },
  {
    id: "expire/permit",
    title: "a permit that is left to end by itself is given to nobody else until then, and no longer",
    exempt: (guarantees) => unleased(guarantees) ?? single(guarantees),
    async run(stage) {
      const key = stage.key();
      const [holder, other] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const stays = await other.acquire(key, { limit: 2 });
      const lock = await holder.acquire(key, { limit: 2, ttl: stage.longTtl });
      const since = now();
      assert.equal(await lock.expireIn(stage.ttl), true);
      await holder.close();
      const next = other.acquire(key, { limit: 2 }).then(() => now() - since);
      assertAt(await within(stage.ttl + stage.slack, next, "the next holder of the permit"), stage.ttl);
      stays.throwIfLost();
    },
  },
  {
    id: "expire/refused",
    title: "a hold that ends with its process cannot be left to end by itself, and stays held",
    exempt: leased,
    async run(stage) {
      const key = stage.key();
      const [locks, other] = [await stage.locks(await stage.peer()), await stage.peer()];
      const lock = await locks.acquire(key);
      await assert.rejects(lock.expireIn(stage.ttl), hasCode("LOCK_CONFIG"));
      lock.throwIfLost();
      await stage.assertTaken(other, key);
      assert.equal(await lock.release(), true);
      await assert.rejects(locks.acquire(key, { alive: "lease" }), hasCode("LOCK_CONFIG"));
      await stage.assertFree(other, key);
    },
  },
];

/** The next exclusive holder gets a lock whose holder left it for `ms` when that is over. */
async function left(stage: Stage, ttl: number, ms: number, options: AcquireOptions = {}): Promise<void> {
  const key = stage.key();
  const [holder, other] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
  const lock = await holder.acquire(key, { ttl, ...options });
  const since = now();
  assert.equal(await lock.expireIn(ms), true, "the backend did not confirm it");
  await within(2_000 + stage.slack, holder.close({ grace: 60_000 }), "close, which has nothing to wait for");
  const next = other.acquire(key).then(() => now() - since);
  assertAt(await within(ms + stage.slack, next, "the next holder"), ms);
}

/** Core trusts a lease for 1 % and 2 ms less than its ttl: as much may the clocks differ. */
function assertAt(at: number, due: number): void {
  assert.ok(at >= due * 0.99 - 2, `granted to another ${Math.round(due - at)} ms before it was to end`);
}
