import assert from "node:assert/strict";
import type { Claim } from "@dlock/core";
import type { Law } from "../law.js";
import type { Stage, Win } from "../stage.js";
import { now, sleep } from "../time.js";

export const leases: readonly Law[] = [
  {
    id: "leases/full",
    title: "a hold that nobody keeps alive is not given to anybody else before its time is over",
    lapses: true,
    run: (stage) => outlive(stage, async (_claim, win) => win.askedAt),
  },
  {
    id: "leases/renewed",
    title: "a renewed hold is not given to anybody else before its time, from the renewal on, is over",
    lapses: true,
    run: (stage) =>
      outlive(stage, async (claim) => {
        await sleep(stage.ttl * 0.5);
        const askedAt = now();
        if (claim.renew) assert.equal(await claim.renew(stage.ttl), true, "the renewal of a living hold was refused");
        return askedAt;
      }),
  },
  {
    id: "leases/asked-again",
    title: "asking again for what is held restarts its time in full",
    lapses: true,
    run: (stage) =>
      outlive(stage, async (claim) => {
        await sleep(stage.ttl * 0.5);
        const askedAt = now();
        assert.notEqual(await stage.ask(claim), undefined, "a claim that holds was told that it does not");
        return askedAt;
      }),
  },
  {
    id: "leases/own-ttl",
    title: "the time of a hold is the one its own claim asked for, whatever others ask for",
    lapses: true,
    async run(stage) {
      const key = stage.key();
      const [peer, other] = [await stage.mortal(), await stage.peer()];
      const patient = stage.claim(peer, { key, ttl: stage.ttl * 3 });
      const { askedAt } = await stage.win(patient);
      stage.vanish(peer);
      const end = stage.certainUntil(patient, askedAt, stage.ttl * 3);
      const hasty = stage.claim(other, { key, ttl: stage.ttl });
      const { wonAt } = await stage.win(hasty, stage.lifetime(patient, stage.ttl * 3) + stage.slack);
      assertNotBefore(wonAt, end, stage.ttl * 3);
    },
  },
  {
    id: "leases/longest",
    title: "the longest ttl there is does not end at once",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const ttl = 2 ** 31 - 1;
      const claim = stage.claim(here, { key, ttl });
      await stage.win(claim);
      if (claim.renew) assert.equal(await claim.renew(ttl), true);
      await sleep(30);
      await stage.assertTaken(there, key);
      await claim.release();
      await stage.assertFree(there, key);
    },
  },
];

/** A hold that is left alone after `last` (which says when it was last kept alive) must be nobody else's before its end, and somebody else's soon after it. */
async function outlive(stage: Stage, last: (claim: Claim, win: Win) => Promise<number>): Promise<void> {
  const key = stage.key();
  const [peer, other] = [await stage.mortal(), await stage.peer()];
  const claim = stage.claim(peer, { key, ttl: stage.ttl });
  const askedAt = await last(claim, await stage.win(claim));
  stage.vanish(peer);
  const end = stage.certainUntil(claim, askedAt);
  const next = stage.claim(other, { key });
  const { wonAt } = await stage.win(next, stage.lifetime(claim) + stage.slack, "a lock whose holder is gone");
  assertNotBefore(wonAt, end, stage.ttl);
}

/** Core trusts a lease for 1 % and 2 ms less than its ttl: as much may the clocks differ. */
function assertNotBefore(at: number, end: number, ttl: number): void {
  const early = end - at;
  assert.ok(early <= ttl / 100 + 2, `granted to another ${Math.round(early)} ms before the hold was over`);
}
