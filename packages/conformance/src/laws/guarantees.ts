import assert from "node:assert/strict";
import type { Offer } from "../harness.js";
import { offers, type Law } from "../law.js";
import { now, sleep } from "../time.js";

export const guarantees: readonly Law[] = [
  {
    id: "guarantees/declared",
    title: "the provider guarantees and offers what its harness says, no less and no more",
    async run(stage) {
      const { provider } = await stage.peer();
      assert.deepEqual(provider.guarantees, stage.harness.guarantees);
      const claim = stage.claim({ provider }, { key: stage.key() });
      const offered = {
        inspect: provider.inspect !== undefined,
        list: provider.list !== undefined,
        forceRelease: provider.forceRelease !== undefined,
        raise: claim.raise !== undefined,
        downgrade: claim.downgrade !== undefined,
        waitTurn: claim.waitTurn !== undefined,
      } satisfies Record<Offer, boolean>;
      for (const [offer, present] of Object.entries(offered)) {
        assert.equal(present, offers(stage.harness, offer as Offer), `${offer}: the harness and the provider disagree`);
      }
      const session = "certainUntil" in claim;
      assert.equal(
        session,
        provider.guarantees.alive !== "lease",
        "certainUntil is there for sessions and connections, left out for leases",
      );
    },
  },
  {
    id: "guarantees/alive-session",
    title: "a hold on a session or connection outlasts its ttl without renewal while its process lives",
    exempt: ({ alive }) => (alive === "lease" ? "alive: lease" : undefined),
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const claim = stage.claim(here, { key, ttl: stage.ttl });
      await stage.win(claim);
      for (const end = now() + 2 * stage.lifetime(claim); now() < end; await sleep(stage.ttl / 4)) {
        await stage.assertTaken(there, key);
      }
      assert.ok("certainUntil" in claim && claim.certainUntil() > now());
    },
  },
  {
    id: "guarantees/failover",
    title: "a failover keeps the holds that were acknowledged, and the next token is larger",
    exempt: ({ failover }) => (failover === "keeps" ? undefined : `failover: ${failover}`),
    needs: ["server.failover"],
    alone: true,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const holder = stage.claim(here, { key });
      const { token } = await stage.win(holder);
      await stage.harness.server?.failover?.();
      await stage.assertTaken(there, key);
      assert.equal(await stage.ask(holder), token);
      await holder.release();
      assert.ok((await stage.assertFree(there, key)) > token);
    },
  },
];
