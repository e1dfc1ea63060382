import assert from "node:assert/strict";
import type { Claim } from "@dlock/core";
import type { Peer } from "../harness.js";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { sleep, within } from "../time.js";
import { aborted } from "../signs.js";

export const ownership: readonly Law[] = [
  {
    id: "ownership/stale-release",
    title: "the release of a hold that ended leaves the successor's hold alone",
    lapses: true,
    async run(stage) {
      const { stale, successor, key, other, token } = await succeed(stage);
      await stale.release();
      assert.equal(await stage.ask(successor), token, "the successor lost its hold");
      await stage.assertTaken(other, key);
    },
  },
  {
    id: "ownership/both-release",
    title: "two owners across an expiry: the first release does nothing, the second frees the lock",
    lapses: true,
    async run(stage) {
      const { stale, successor, key, other } = await succeed(stage);
      await stale.release();
      await successor.release();
      await stage.assertFree(other, key);
    },
  },
  {
    id: "ownership/stale-renew",
    title: "the renewal of a hold that ended is refused and leaves the successor's hold alone",
    lapses: true,
    async run(stage) {
      const { stale, successor, key, other, token } = await succeed(stage);
      await assertGone(stage, stale);
      assert.equal(await stage.ask(successor), token, "the successor lost its hold");
      await successor.release();
      await stage.assertFree(other, key);
    },
  },
  {
    id: "ownership/no-revival",
    title: "the renewal of a hold that ended is refused, also when nobody else has it, and does not bring it back",
    lapses: true,
    async run(stage) {
      const key = stage.key();
      const [peer, other] = [await stage.mortal(), await stage.peer()];
      const claim = stage.claim(peer, { key, ttl: stage.ttl });
      await stage.win(claim);
      stage.vanish(peer);
      await sleep(stage.lifetime(claim) + stage.slack);
      stage.revive(peer);
      await assertGone(stage, claim);
      await stage.assertFree(other, key);
    },
  },
  {
    id: "ownership/released-renew",
    title: "a renewal after the release is refused and does not bring the hold back",
    async run(stage) {
      const key = stage.key();
      const peer = await stage.peer();
      const claim = stage.claim(peer, { key });
      await stage.win(claim);
      await claim.release();
      if (claim.renew) assert.notEqual(await renewed(claim, stage.longTtl), true);
      await stage.assertFree(peer, key);
    },
  },
  {
    id: "ownership/stranger",
    title: "the release of a claim that never held leaves the holder alone, in whichever process",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const holder = stage.claim(here, { key });
      const { token } = await stage.win(holder);
      for (const peer of [here, there]) {
        await stage.claim(peer, { key }).release();
        const refused = stage.claim(peer, { key });
        assert.equal(await stage.ask(refused), undefined);
        await refused.release();
      }
      assert.equal(await stage.ask(holder), token, "a claim that never held freed the lock");
      await stage.assertTaken(there, key);
    },
  },
  {
    id: "ownership/release-twice",
    title: "a second release does nothing, also when somebody else holds by then",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const first = stage.claim(here, { key });
      await stage.win(first);
      await Promise.all([first.release(), first.release()]);
      const successor = stage.claim(here, { key });
      const { token } = await stage.win(successor);
      await first.release();
      assert.equal(await stage.ask(successor), token, "the successor lost its hold");
      await stage.assertTaken(there, key);
    },
  },
  {
    id: "ownership/release-in-flight",
    title: "a release during tryAcquire leaves nothing behind, whichever of them the backend sees first",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      for (let round = 0; round < 20; round++) {
        const claim = stage.claim(here, { key });
        const attempt = claim.tryAcquire(performance.now() + 5_000).catch(() => undefined);
        if (round % 2 === 1) await sleep(Math.random() * 3);
        await claim.release();
        await within(5_000 + stage.slack, attempt, "tryAcquire");
        await stage.assertFree(there, key);
      }
    },
  },
];

interface Succession {
  readonly stale: Claim;
  readonly successor: Claim;
  readonly token: bigint;
  readonly key: string;
  readonly other: Peer;
}

/** A hold that ended by itself, and a hold after it. */
async function succeed(stage: Stage): Promise<Succession> {
  const key = stage.key();
  const [peer, other] = [await stage.mortal(), await stage.peer()];
  const stale = stage.claim(peer, { key, ttl: stage.ttl });
  await stage.win(stale);
  stage.vanish(peer);
  const successor = stage.claim(other, { key });
  const { token } = await stage.win(successor, stage.lifetime(stale) + stage.slack);
  stage.revive(peer);
  return { stale, successor, token, key, other };
}

/** A lease says so when it is renewed, a session by its `lost` signal. */
async function assertGone(stage: Stage, claim: Claim): Promise<void> {
  if (claim.renew) assert.equal(await renewed(claim, stage.ttl), false, "a hold that ended was renewed");
  else if (claim.lost) await within(stage.slack, aborted(claim.lost), "the claim's `lost`");
}

function renewed(claim: Claim, ttl: number): Promise<boolean> {
  return within(5_000, claim.renew?.(ttl) ?? Promise.resolve(false), "renew");
}
