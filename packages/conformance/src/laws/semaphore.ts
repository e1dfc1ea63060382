import assert from "node:assert/strict";
import type { Claim } from "@dlock/core";
import { counted } from "../counted.js";
import type { Law } from "../law.js";
import { later, now, sleep, until, within } from "../time.js";
import { outlasts, served } from "../turns.js";
import { hasCode } from "./codes.js";
import { polling, single, unordered } from "./exemptions.js";

const limit = 3;

export const semaphores: readonly Law[] = [
  {
    id: "semaphore/limit",
    title: "as many hold at the same time as the limit says, and the next enters when one of them leaves",
    exempt: single,
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer()] as const;
      const key = stage.key();
      const holders = [0, 1, 0].map((peer) => stage.claim(peers[peer as 0 | 1], { key, limit }));
      const tokens: bigint[] = [];
      for (const holder of holders) tokens.push((await stage.win(holder)).token);
      const next = stage.claim(peers[1], { key, limit });
      assert.equal(await stage.ask(next), undefined, "more hold than the limit says");
      for (const [place, holder] of holders.entries()) {
        assert.equal(await stage.ask(holder), tokens[place], "a permit was lost to another one");
      }
      await holders[1]?.release();
      await holders[1]?.release();
      await stage.win(next);
      await holders[1]?.release();
      const passing = stage.claim(peers[0], { key, limit, join: false });
      assert.equal(await stage.ask(passing), undefined, "a permit was given back twice");
    },
  },
  {
    id: "semaphore/tokens",
    title: "permits have tokens of their own, and a permit asked for when another one has ended has a larger one",
    exempt: single,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const running: { readonly claim: Claim; readonly token: bigint }[] = [];
      let ended = 0n;
      for (let round = 0; round < 8; round++) {
        const claim = stage.claim(round % 2 === 0 ? here : there, { key, limit });
        const { token } = await stage.win(claim);
        assert.ok(token > ended, "a permit has a smaller token than one that ended before it was asked for");
        // Those that hold together need not have them in the order in which they came.
        for (const other of running) assert.notEqual(token, other.token, "two permits have the same token");
        running.push({ claim, token });
        const leaver = running.length === limit ? running.splice(round % limit, 1)[0] : undefined;
        await leaver?.claim.release();
        if (leaver && leaver.token > ended) ended = leaver.token;
      }
    },
  },
  {
    id: "semaphore/dead-permit",
    title: "the permit of a dead holder comes back by its own time, and only that one",
    exempt: single,
    lapses: true,
    async run(stage) {
      const [mortal, peer] = [await stage.mortal(), await stage.peer()];
      const key = stage.key();
      const dead = stage.claim(mortal, { key, limit: 2, ttl: stage.ttl });
      const { askedAt } = await stage.win(dead);
      const alive = stage.claim(peer, { key, limit: 2 });
      const { token } = await stage.win(alive);
      stage.vanish(mortal);
      const end = stage.certainUntil(dead, askedAt);
      await outlasts(stage, stage.claim(peer, { key, limit: 2 }), end, stage.lifetime(dead));
      assert.equal(await stage.ask(alive), token);
      const more = stage.claim(peer, { key, limit: 2, join: false });
      assert.equal(await stage.ask(more), undefined, "a dead holder's permit was given twice");
      stage.revive(mortal);
      assert.equal(await stage.saysItHolds(dead), false, "more say that they hold than the limit says");
    },
  },
  {
    id: "semaphore/other-limit",
    title: "a limit other than the one in use for the key is refused, with a LockConfigError",
    exempt: single,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const locks = await stage.locks(there);
      const key = stage.key();
      for (const [used, other] of [
        [limit, limit + 1],
        [limit, 1],
        [1, limit],
      ] as const) {
        const holder = stage.claim(here, { key, limit: used });
        const { token } = await stage.win(holder);
        for (const join of [true, false]) {
          const claim = stage.claim(there, { key, limit: other, join });
          await assert.rejects(claim.tryAcquire(now() + 5_000), hasCode("LOCK_CONFIG"));
          await claim.release();
        }
        await assert.rejects(locks.acquire(key, { limit: other }), hasCode("LOCK_CONFIG"));
        await assert.rejects(locks.tryAcquire(key, { limit: other }), hasCode("LOCK_CONFIG"));
        assert.equal(await stage.ask(holder), token, "another limit cost a hold");
        await holder.release();
        const free = stage.claim(there, { key, limit: other });
        await stage.win(free);
        await free.release();
      }
      for (const bad of [{ limit: 0 }, { limit: 1.5 }, { limit: 2, mode: "shared" }] as const) {
        await assert.rejects(locks.acquire(key, bad), hasCode("LOCK_CONFIG"));
      }
    },
  },
  {
    id: "semaphore/lost-reply",
    title: "a permit whose first answer was lost is counted once",
    exempt: single,
    needs: ["openLinked"],
    async run(stage) {
      const [linked, peer] = [await stage.linkedPeer(), await stage.peer()];
      const key = stage.key();
      const claim = stage.claim(linked, { key, limit: 2 });
      linked.link.dropReplies();
      await claim.tryAcquire(now() + stage.slack).catch(() => {});
      linked.link.heal();
      assert.ok(await stage.ask(claim), "the claim holds and was told that it does not");
      const [second, third] = [0, 1].map(() => stage.claim(peer, { key, limit: 2, join: false })) as [Claim, Claim];
      await stage.win(second, stage.slack, "the second permit");
      assert.equal(await stage.ask(third), undefined, "more hold than the limit says");
      await claim.release();
      await stage.win(third, stage.slack, "a permit that was given back");
    },
  },
  {
    id: "semaphore/order",
    title: "those who wait for a permit get it in the order in which they joined, and nobody overtakes them",
    exempt: (guarantees) => single(guarantees) ?? unordered(guarantees),
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer()] as const;
      const key = stage.key();
      const running = [0, 1].map((peer) => stage.claim(peers[peer as 0 | 1], { key, limit: 2 }));
      for (const holder of running) await stage.win(holder);
      const line: Claim[] = [];
      for (let place = 0; place < 4; place++) {
        const claim = stage.claim(peers[place % 2 === 0 ? 0 : 1], { key, limit: 2 });
        assert.equal(await stage.ask(claim), undefined);
        line.push(claim);
      }
      for (const [place, claim] of line.entries()) {
        await running.shift()?.release();
        const newcomer = stage.claim(peers[0], { key, limit: 2, join: false });
        for (const behind of [newcomer, ...line.slice(place + 1).toReversed()]) {
          assert.equal(await stage.ask(behind), undefined, "a waiter was served before one that came earlier");
        }
        await stage.win(claim);
        running.push(claim);
      }
    },
  },
  {
    id: "semaphore/wakes",
    title: "a permit that is given back, at any moment, wakes one who waits for it, and two wake two",
    exempt: single,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      for (let round = 0; round < 15; round++) {
        const key = stage.key();
        const holders = [here, there, here].map((peer) => stage.claim(peer, { key, limit }));
        for (const holder of holders) await stage.win(holder);
        const waiters = [there, here].map((peer) => stage.claim(peer, { key, limit }));
        const leavers = round % 2 === 0 ? holders.slice(1) : holders.slice(0, 2);
        const gone = leavers.map((holder) => later(sleep((round % 4) * Math.random()).then(() => holder.release())));
        await Promise.all(waiters.map((waiter) => served(stage, waiter, stage.slack, `a permit, in round ${round},`)));
        await Promise.all([...gone, ...waiters.map((waiter) => waiter.release())]);
      }
    },
  },
  {
    id: "semaphore/push",
    title: "who waits for a permit does not poll, and is served soon after one is given back",
    exempt: (guarantees) => single(guarantees) ?? polling(guarantees),
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const watched = counted(there.provider);
      const [holder, waiter] = [await stage.locks(here), await stage.locks(watched)];
      const key = stage.key();
      const options = { limit: 2, ttl: stage.ttl };
      const locks = [await holder.acquire(key, options), await holder.acquire(key, options)] as const;
      const next = later(waiter.acquire(key, options));
      await sleep(3 * locks[0].ttl);
      const asked = watched.calls("tryAcquire");
      assert.ok(asked <= 8, `${asked} tries while the holders renewed for three times their ttl`);
      assert.equal(await locks[0].release(), true, "a permit was lost although it was renewed");
      await within(stage.slack, next, "the waiter, after the release");
    },
  },
  {
    id: "semaphore/sections",
    title: "sections of several processes: never more than the limit, and as many as that",
    exempt: single,
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer(), await stage.peer()];
      const key = stage.key();
      const patience = 15_000 + 20 * stage.slack;
      let [inside, most] = [0, 0];
      const work = async (peer: (typeof peers)[number]): Promise<void> => {
        const locks = await stage.locks(peer);
        const section = () =>
          locks.withLock(key, { limit }, async () => {
            inside += 1;
            most = Math.max(most, inside);
            assert.ok(inside <= limit, `${inside} of at most ${limit} are in their sections`);
            // The first ones stay until as many as may are in: more than that want to.
            await until(() => most === limit, patience, "as many sections as the limit says");
            await sleep(2);
            inside -= 1;
          });
        for (let round = 0; round < 8; round++) await Promise.all([section(), section()]);
      };
      await within(patience, Promise.all(peers.map(work)), "all sections");
    },
  },
];
