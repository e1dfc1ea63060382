import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { now, sleep } from "../time.js";
import { listening, outlasts, served } from "../turns.js";
import { unshared } from "./exemptions.js";

const shared = { mode: "shared" } as const;

export const sharedLeases: readonly Law[] = [
  {
    id: "shared/dead-reader",
    title: "a dead reader frees its place by its own time, neither before it nor with that of others",
    exempt: unshared,
    lapses: true,
    async run(stage) {
      const [mortal, peer] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const dead = stage.claim(mortal, { key, ...shared, ttl: stage.ttl });
      const { askedAt } = await stage.win(dead);
      const alive = stage.claim(peer, { key, ...shared });
      await stage.win(alive);
      stage.vanish(mortal);
      const end = stage.certainUntil(dead, askedAt);
      await alive.release();
      await outlasts(stage, stage.claim(peer, { key }), end, stage.lifetime(dead));
    },
  },
  {
    id: "shared/expiry",
    title: "a writer that waits while readers leave is told when the one that died comes to its end",
    exempt: unshared,
    offer: "waitTurn",
    lapses: true,
    async run(stage) {
      const [mortal, peer] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const dead = stage.claim(mortal, { key, ...shared, ttl: stage.ttl });
      await stage.win(dead);
      const alive = stage.claim(peer, { key, ...shared });
      await stage.win(alive);
      const writer = stage.claim(peer, { key });
      assert.equal(await stage.ask(writer), undefined);
      const told = listening(stage, writer);
      stage.vanish(mortal);
      const last = now() + stage.lifetime(dead) + stage.slack;
      await alive.release();
      await told(last - now());
      await served(stage, writer, last - now(), "the place of a reader that died");
    },
  },
  {
    id: "shared/outlived",
    title: "a reader that outlives a dead one keeps writers out, and not a moment longer than it holds",
    exempt: unshared,
    lapses: true,
    async run(stage) {
      const [mortal, peer] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const alive = stage.claim(peer, { key, ...shared });
      const { token } = await stage.win(alive);
      const dead = stage.claim(mortal, { key, ...shared, ttl: stage.ttl });
      await stage.win(dead);
      stage.vanish(mortal);
      const over = now() + stage.lifetime(dead) + stage.slack;
      // What keeps the one alive is none of the other's business.
      if (alive.renew) assert.equal(await alive.renew(stage.longTtl), true);
      await sleep(over - now());
      await stage.assertTaken(peer, key);
      assert.equal(await stage.ask(alive), token);
      await alive.release();
      await stage.assertFree(peer, key);
    },
  },
  {
    id: "shared/renewed",
    title: "a renewed reader is kept for its time from the renewal on, and then told that its hold ended",
    exempt: unshared,
    lapses: true,
    async run(stage) {
      const [mortal, peer] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const reader = stage.claim(mortal, { key, ...shared, ttl: stage.ttl });
      let { askedAt } = await stage.win(reader);
      for (let round = 0; round < 3; round++) {
        await sleep(stage.ttl / 2);
        askedAt = now();
        if (reader.renew) assert.equal(await reader.renew(stage.ttl), true, "the renewal of a reader was refused");
      }
      stage.vanish(mortal);
      const end = stage.certainUntil(reader, askedAt);
      const writer = stage.claim(peer, { key });
      await outlasts(stage, writer, end, stage.lifetime(reader));
      stage.revive(mortal);
      assert.equal(await stage.saysItHolds(reader), false, "a reader says that it holds beside a writer");
      if (!("certainUntil" in reader)) assert.equal(await reader.renew(stage.ttl), false);
      await stage.assertTaken(peer, key);
    },
  },
];
