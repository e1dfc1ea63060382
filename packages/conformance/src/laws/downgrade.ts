import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { now } from "../time.js";
import { listening } from "../turns.js";
import { unshared } from "./exemptions.js";

const shared = { mode: "shared" } as const;

export const downgrades: readonly Law[] = [
  {
    id: "shared/downgrade",
    title: "a downgrade lets readers in at once, and the hold goes on as that of a reader",
    exempt: unshared,
    offer: "downgrade",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const holder = stage.claim(here, { key });
      const { token } = await stage.win(holder);
      const [reader, writer] = [stage.claim(there, { key, ...shared }), stage.claim(there, { key })];
      for (const waiter of [reader, writer]) assert.equal(await stage.ask(waiter), undefined);
      const told = listening(stage, reader);
      assert.equal(await holder.downgrade?.(), true);
      await told();
      await stage.win(reader);
      assert.equal(await stage.ask(writer), undefined, "a writer was let in beside a downgraded hold");
      assert.equal(await stage.ask(holder), token, "a downgrade cost the hold");
      if (holder.renew) assert.equal(await holder.renew(stage.longTtl), true);
      assert.equal(await holder.downgrade?.(), true, "a second downgrade was refused");
      const { holders } = (await there.provider.inspect?.(key)) ?? {};
      if (holders) assert.deepEqual(new Set(holders.map(({ mode }) => mode)), new Set(["shared"]));
      await reader.release();
      assert.equal(await stage.ask(writer), undefined, "a writer was let in beside a downgraded hold");
      const called = listening(stage, writer);
      await holder.release();
      await called();
      await stage.win(writer);
    },
  },
  {
    id: "shared/downgrade-gap",
    title: "while a hold is downgraded nobody else gets in to write, not even for a moment",
    exempt: unshared,
    offer: "downgrade",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      for (let round = 0; round < 5; round++) {
        const key = stage.key();
        const holder = stage.claim(here, { key });
        const { token } = await stage.win(holder);
        const writer = stage.claim(there, { key, join: round % 2 === 0 });
        assert.equal(await stage.ask(writer), undefined);
        let changing = true;
        const change = Promise.resolve(holder.downgrade?.()).finally(() => (changing = false));
        do {
          assert.equal(await stage.ask(writer), undefined, "a writer was let in while a hold was downgraded");
        } while (changing);
        assert.equal(await change, true);
        assert.equal(await stage.ask(holder), token, "a downgrade cost the hold");
        await writer.release();
        await holder.release();
      }
    },
  },
  {
    id: "shared/lost-downgrade",
    title: "a hold that is gone is not downgraded, nor is its successor's",
    exempt: unshared,
    offer: "downgrade",
    lapses: true,
    async run(stage) {
      const [mortal, peer] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const [released, gone] = [stage.claim(mortal, { key }), stage.claim(mortal, { key, ttl: stage.ttl })];
      await stage.win(released);
      await released.release();
      await stage.win(gone);
      stage.vanish(mortal);
      const holder = stage.claim(peer, { key });
      await stage.win(holder, stage.lifetime(gone) + stage.slack);
      stage.revive(mortal);
      for (const claim of [released, gone]) {
        const done = await Promise.resolve(claim.downgrade?.()).catch(() => false);
        assert.notEqual(done, true, "a hold that is gone was downgraded");
      }
      const reader = stage.claim(peer, { key, ...shared, join: false });
      assert.equal(await stage.ask(reader), undefined, "a reader was let in beside a writer");
      await stage.assertTaken(peer, key);
    },
  },
  {
    id: "shared/downgrade-section",
    title: "lock.downgrade() lets other processes read; from then on the section is a reader's, which cannot write",
    exempt: unshared,
    offer: "downgrade",
    async run(stage) {
      const [here, there] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const key = stage.key();
      await here.withLock(key, async (lock) => {
        assert.equal(await there.tryAcquire(key, shared), undefined);
        await lock.downgrade();
        assert.equal(lock.mode, "shared");
        const reader = await there.acquire(key, { ...shared, waitTimeout: 2_000 + stage.slack });
        assert.equal(await there.tryAcquire(key), undefined);
        lock.throwIfLost();
        assert.equal(await reader.release(), true);
      });
      const since = now();
      const lock = await there.acquire(key, { waitTimeout: 2_000 + stage.slack });
      assert.ok(now() - since <= stage.slack, "a downgraded hold was not given up with its section");
      await lock.release();
    },
  },
];
