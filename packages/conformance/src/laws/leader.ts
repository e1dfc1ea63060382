import assert from "node:assert/strict";
import type { HolderStatus, Locks } from "@dlock/core";
import { leader, type Election, type LeaderOptions, type Term } from "@dlock/core/recipes";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { aborted, assertToldFirst, TurnWatch } from "../signs.js";
import { later, now, sleep, until, within } from "../time.js";

export const leaders: readonly Law[] = [
  {
    id: "leader/terms",
    title:
      "a leader that renews leads on beyond its lease, alone, and is followed when it resigns, with a larger token",
    async run(stage) {
      const key = stage.key();
      const [one, other] = [await candidate(stage, key), await candidate(stage, key)];
      const term = await termOf(one);
      let followed = false;
      const next = later(termOf(other).finally(() => (followed = true)));
      await sleep(1.3 * stage.ttl);
      term.throwIfOver();
      assert.equal(followed, false, "two lead at the same time");
      await term.resign();
      const { fencingToken } = await within(stage.slack, next, "the next term");
      assert.ok(fencingToken > term.fencingToken, "a term has no larger token than the one before it");
    },
  },
  {
    id: "leader/vanished",
    title: "the term of a leader that vanished is over before the next one begins, which is soon after its lease",
    needs: ["openLinked"],
    async run(stage) {
      const key = stage.key();
      const peer = await stage.linkedPeer();
      const locks = await stage.locks(peer);
      let renewedAt = now();
      locks.on("renewed", ({ took }) => (renewedAt = now() - took));
      const term = await termOf(election(stage, locks, key));
      const told = aborted(term.signal);
      const turns = new TurnWatch();
      const next = later(termOf(await candidate(stage, key)).then(() => now()));
      await sleep(0.4 * stage.ttl);
      peer.link.freeze();
      const toldAt = await within(stage.ttl + stage.slack, told, "the end of the term of a leader that is cut off");
      const nextAt = await within(stage.deadWaiter + stage.slack, next, "the next term");
      assertToldFirst(toldAt, nextAt, turns);
      if (stage.harness.guarantees.alive !== "lease") return;
      const early = renewedAt + stage.ttl - nextAt;
      assert.ok(early <= stage.ttl / 100 + 2, `the next term began ${Math.round(early)} ms before the lease was over`);
    },
  },
  {
    id: "leader/seen",
    title: "everybody sees who leads, from one term to the next, and that nobody does",
    offer: "inspect",
    async run(stage) {
      const key = stage.key();
      const watcher = await candidate(stage, key);
      const over = new AbortController();
      stage.finally(() => over.abort());
      let seen: HolderStatus | undefined;
      const watching = async (): Promise<void> => {
        for await (const holder of watcher.observe({ signal: over.signal })) seen = holder;
      };
      const observed = later(watching());
      for (const owner of ["one", "another"]) {
        const term = await termOf(await candidate(stage, key, { owner, retry: stage.ttl / 2 }));
        const leads = (holder: HolderStatus | undefined): boolean =>
          holder?.owner === owner && holder.fencingToken === term.fencingToken;
        await until(async () => leads(await watcher.current()), 2 * stage.slack, `telling that "${owner}" leads`);
        await until(() => leads(seen), 2 * stage.slack, `seeing that "${owner}" leads`);
        await term.resign();
      }
      await until(() => seen === undefined, 2 * stage.slack, "seeing that nobody leads");
      over.abort();
      await observed;
    },
  },
];

async function candidate(stage: Stage, key: string, options?: LeaderOptions): Promise<Election> {
  return election(stage, await stage.locks(await stage.peer()), key, options);
}

function election({ ttl }: Stage, locks: Locks, key: string, options?: LeaderOptions): Election {
  return leader(locks, key, { lease: ttl, renewDeadline: 0.97 * ttl, retry: ttl / 20, ...options });
}

async function termOf(of: Election): Promise<Term> {
  const { value } = await of.terms().next();
  assert.ok(value, "a campaign ended by itself");
  return value;
}
