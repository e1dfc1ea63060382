import assert from "node:assert/strict";
import type { Law } from "../law.js";
import { sleep, within } from "../time.js";

export const exclusion: readonly Law[] = [
  {
    id: "exclusion/one-holder",
    title: "while one claim holds a key, every other claim is told that it is not free",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      await stage.win(stage.claim(here, { key }));
      for (const peer of [here, there]) {
        for (const join of [false, true]) {
          const other = stage.claim(peer, { key, join });
          assert.equal(await stage.ask(other), undefined);
          await other.release();
        }
      }
    },
  },
  {
    id: "exclusion/first-use",
    title: "of many first claims to a key that nobody used before, one holds and none fails",
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer(), await stage.peer(), await stage.peer()];
      for (let round = 0; round < 5; round++) {
        const key = stage.key();
        const claims = peers.flatMap((peer) => [0, 1, 2, 3].map(() => stage.claim(peer, { key })));
        const tokens = await Promise.all(claims.map((claim) => stage.ask(claim)));
        assert.equal(tokens.filter((token) => token !== undefined).length, 1);
        await Promise.all(claims.map((claim) => claim.release()));
      }
    },
  },
  {
    id: "exclusion/crowd",
    title: "claims of several processes that contend for a key never hold it at the same time",
    async run(stage) {
      const key = stage.key();
      const peers = [await stage.peer(), await stage.peer(), await stage.peer()];
      const rounds = 4;
      let inside = 0;
      let stock = peers.length * 3 * rounds;
      const contend = async (peer: (typeof peers)[number]): Promise<void> => {
        for (let round = 0; round < rounds; round++) {
          const claim = stage.claim(peer, { key });
          await stage.win(claim, 10_000 + 100 * stage.slack);
          assert.equal(++inside, 1, "two claims held the key at once");
          const read = stock;
          await sleep(1);
          stock = read - 1;
          inside--;
          await claim.release();
        }
      };
      await Promise.all(peers.flatMap((peer) => [contend(peer), contend(peer), contend(peer)]));
      assert.equal(stock, 0);
    },
  },
  {
    id: "exclusion/sections",
    title: "withLock sections of several processes never overlap",
    async run(stage) {
      const key = stage.key();
      const sellers = await Promise.all([0, 1, 2, 3].map(async () => stage.locks(await stage.peer())));
      let stock = sellers.length * 2 * 3;
      const sell = async (seller: (typeof sellers)[number]): Promise<void> => {
        for (let round = 0; round < 3; round++) {
          await seller.withLock(key, async () => {
            const read = stock;
            await sleep(1);
            stock = read - 1;
          });
        }
      };
      const sold = Promise.all(sellers.flatMap((seller) => [sell(seller), sell(seller)]));
      await within(10_000 + 50 * stage.slack, sold, "all sections");
      assert.equal(stock, 0);
    },
  },
  {
    id: "exclusion/remembered-hold",
    title: "a claim whose hold ended does not say that it holds once somebody else does",
    lapses: true,
    async run(stage) {
      const key = stage.key();
      const [peer, other] = [await stage.mortal(), await stage.peer()];
      const stale = stage.claim(peer, { key, ttl: stage.ttl });
      await stage.win(stale);
      stage.vanish(peer);
      const next = stage.claim(other, { key });
      await stage.win(next, stage.lifetime(stale) + stage.slack);
      stage.revive(peer);
      assert.equal(await stage.saysItHolds(stale), false, "two claims say that they hold");
    },
  },
  {
    id: "exclusion/late-waker",
    title: "a waiter that was woken and slept on does not say that it holds once somebody else does",
    lapses: true,
    async run(stage) {
      const key = stage.key();
      const [peer, other] = [await stage.mortal(), await stage.peer()];
      const first = stage.claim(other, { key });
      await stage.win(first);
      const sleeper = stage.claim(peer, { key, ttl: stage.ttl });
      assert.equal(await stage.ask(sleeper), undefined);
      const woken = sleeper.waitTurn?.(AbortSignal.timeout(stage.slack));
      await first.release();
      await woken;
      stage.vanish(peer);
      const next = stage.claim(other, { key });
      await stage.win(next, Math.max(stage.deadWaiter, stage.lifetime(sleeper)) + stage.slack);
      stage.revive(peer);
      assert.equal(await stage.saysItHolds(sleeper), false, "two claims say that they hold");
    },
  },
  {
    id: "exclusion/independent-keys",
    title: "holds of different keys do not touch each other",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const [one, two, three] = [stage.key(), stage.key(), stage.key()];
      const first = stage.claim(here, { key: one });
      await stage.win(first);
      await stage.win(stage.claim(here, { key: two }));
      await stage.win(stage.claim(there, { key: three }));
      await first.release();
      await stage.assertTaken(there, two);
      await stage.assertTaken(here, three);
      await stage.assertFree(there, one);
    },
  },
];
