import assert from "node:assert/strict";
import type { FencingToken } from "@dlock/core";
import type { Law } from "../law.js";
import { sleep, within } from "../time.js";

export const tokens: readonly Law[] = [
  {
    id: "tokens/release",
    title: "tokens are positive bigints and grow strictly from each holder to the next, whichever process it is in",
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      let last: FencingToken = 0n;
      for (let round = 0; round < 20; round++) {
        for (const peer of peers) {
          const claim = stage.claim(peer, { key });
          const { token } = await stage.win(claim);
          assertGrew(token, last);
          last = token;
          await claim.release();
        }
      }
    },
  },
  {
    id: "tokens/expiry",
    title: "the token of a hold that nobody gave up is not given again",
    lapses: true,
    async run(stage) {
      const key = stage.key();
      const [mortal, other] = [await stage.mortal(), await stage.peer()];
      const dead = stage.claim(mortal, { key, ttl: stage.ttl });
      const { token } = await stage.win(dead);
      stage.vanish(mortal);
      const next = stage.claim(other, { key });
      assertGrew((await stage.win(next, stage.lifetime(dead) + stage.slack)).token, token);
    },
  },
  {
    id: "tokens/same-hold",
    title: "asking again for what is held gives the same token",
    async run(stage) {
      const claim = stage.claim(await stage.peer(), { key: stage.key() });
      const { token } = await stage.win(claim);
      await sleep(5);
      assert.equal(await stage.ask(claim), token);
      if (claim.renew) assert.equal(await claim.renew(stage.longTtl), true);
      assert.equal(await stage.ask(claim), token);
    },
  },
  {
    id: "tokens/force-release",
    title: "a forced release frees the lock, says whether there was a hold, and the next token is larger",
    offer: "forceRelease",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      assert.equal(await there.provider.forceRelease?.(key), false);
      const claim = stage.claim(here, { key });
      const { token } = await stage.win(claim);
      assert.equal(await there.provider.forceRelease?.(key), true);
      if (claim.renew)
        assert.equal(await claim.renew(stage.longTtl), false, "a hold that was ended by force was renewed");
      assertGrew(await stage.assertFree(there, key), token);
    },
  },
  {
    id: "tokens/lost-reply",
    title: "a claim whose first answer was lost learns from the next one that it holds",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const key = stage.key();
      const earlier = await stage.assertFree(other, key);
      const claim = stage.claim(peer, { key });
      peer.link.dropReplies();
      const unheard = claim.tryAcquire(performance.now() + stage.slack);
      await assert.rejects(within(3 * stage.slack, unheard, "a tryAcquire whose answer is lost"), isNoAssertion);
      peer.link.heal();
      const token = await stage.ask(claim);
      assert.notEqual(token, undefined, "the claim holds and was told that it does not");
      assertGrew(token ?? 0n, earlier);
      await stage.assertTaken(other, key);
      await claim.release();
      assertGrew(await stage.assertFree(other, key), token ?? 0n);
    },
  },
  {
    id: "tokens/raise",
    title: "every token after a raise exceeds its floor, also beyond 2^53, and a hold that ended raises nothing",
    offer: "raise",
    // A backend that counts for many keys at once may raise the tokens of all.
    alone: true,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const floor = 2n ** 53n + 1n;
      const claim = stage.claim(here, { key });
      const { token } = await stage.win(claim);
      assert.equal(await claim.raise?.(floor), true);
      assert.equal(await stage.ask(claim), token, "the raise changed the token of the hold");
      await claim.release();
      let last = floor;
      for (const peer of [there, here, there, here]) {
        const next = await stage.assertFree(peer, key);
        assertGrew(next, last);
        last = next;
      }
      assert.equal(await claim.raise?.(floor * 2n), false);
      const later = await stage.assertFree(there, key);
      assert.ok(later < floor * 2n, "a hold that ended raised the floor");
    },
  },
];

export function assertGrew(token: FencingToken, last: FencingToken): void {
  assert.equal(typeof token, "bigint");
  assert.ok(token > last, `token ${token} after ${last}`);
}

function isNoAssertion(error: unknown): boolean {
  return !(error instanceof assert.AssertionError);
}
