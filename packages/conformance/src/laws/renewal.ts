import assert from "node:assert/strict";
import { counted } from "../counted.js";
import type { Law } from "../law.js";
import { now, sleep, within } from "../time.js";
import { aborted } from "../signs.js";

export const renewal: readonly Law[] = [
  {
    id: "renewal/keeps",
    title: "a hold outlasts its ttl many times while its process lives, and nobody else gets in",
    async run(stage) {
      const [holder, other] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const key = stage.key();
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      for (const end = now() + 3 * lock.ttl; now() < end; await sleep(lock.ttl / 5)) {
        assert.equal(await other.tryAcquire(key), undefined);
        lock.throwIfLost();
      }
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "renewal/passing-trouble",
    title: "trouble on the link that is over well before the ttl costs no hold",
    needs: ["openLinked"],
    async run(stage) {
      const peer = await stage.linkedPeer();
      const locks = await stage.locks(peer);
      const lock = await locks.acquire(stage.key(), { ttl: 2 * stage.ttl });
      for (let round = 0; round < 2; round++) {
        peer.link.freeze();
        await sleep(lock.ttl * 0.4);
        peer.link.heal();
        await sleep(lock.ttl);
        lock.throwIfLost();
      }
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "renewal/lost-answers",
    title:
      "renewals whose answers are lost for less than the ttl cost no hold, unless it lives by the connection: then its holder is told",
    needs: ["openLinked"],
    async run(stage) {
      const peer = await stage.linkedPeer();
      const locks = await stage.locks(peer);
      const lock = await locks.acquire(stage.key(), { ttl: 2 * stage.ttl });
      const told = aborted(lock.signal);
      peer.link.dropReplies();
      await sleep(lock.ttl * 0.45);
      peer.link.heal();
      // What was lost in the middle of a connection is the end of that connection.
      if (stage.harness.guarantees.alive === "connection")
        return void (await within(lock.ttl + stage.slack, told, "the signal"));
      await sleep(lock.ttl);
      lock.throwIfLost();
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "renewal/brief-cut",
    title:
      "a connection that is back well before the ttl costs no hold, unless the hold lives by the connection: then its holder is told",
    needs: ["openLinked"],
    async run(stage) {
      const peer = await stage.linkedPeer();
      const locks = await stage.locks(peer);
      const lock = await locks.acquire(stage.key(), { ttl: 2 * stage.ttl });
      const told = aborted(lock.signal);
      peer.link.cut();
      await sleep(lock.ttl * 0.45);
      peer.link.heal();
      if (stage.harness.guarantees.alive === "connection") await within(lock.ttl + stage.slack, told, "the signal");
      else await sleep(lock.ttl);
      assert.equal(lock.signal.aborted, stage.harness.guarantees.alive === "connection");
    },
  },
  {
    id: "renewal/late-answer",
    title:
      "a hold lives on over a slow link, on which the answer to a renewal takes more than a third of the ttl, or a quarter of a session",
    needs: ["openLinked"],
    async run(stage) {
      const [peer, other] = [await stage.linkedPeer(), await stage.peer()];
      const [holder, others] = [await stage.locks(peer), await stage.locks(other)];
      const key = stage.key();
      // Long enough for what a busy machine adds to be small beside it.
      const lock = await holder.acquire(key, { ttl: Math.max(6 * stage.ttl, 3_000) });
      // What proves a session may have to go there and back twice.
      const share = stage.harness.guarantees.alive === "session" ? 0.25 : 0.37;
      peer.link.delay((lock.ttl * share) / 2);
      for (const end = now() + 2 * lock.ttl; now() < end; await sleep(lock.ttl / 5)) {
        assert.equal(await others.tryAcquire(key), undefined);
        lock.throwIfLost();
      }
      peer.link.heal();
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "renewal/rate",
    title: "a tiny ttl does not turn renewal into a busy loop",
    async run(stage) {
      const watched = counted((await stage.peer()).provider);
      const locks = await stage.locks(watched);
      const lock = await locks.acquire(stage.key(), { ttl: Math.ceil(stage.ttl / 8) });
      const span = 8 * lock.ttl;
      await sleep(span);
      const renewals = watched.calls("renew");
      assert.ok(renewals <= (5 * span) / lock.ttl, `${renewals} renewals in ${span} ms at a ttl of ${lock.ttl} ms`);
      await lock.release();
    },
  },
  {
    id: "renewal/in-flight",
    title: "a renewal that is under way when the claim is released does not bring the hold back",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      for (let round = 0; round < 10; round++) {
        const claim = stage.claim(here, { key });
        await stage.win(claim);
        const renewal = claim.renew?.(stage.longTtl).catch(() => undefined);
        if (round % 2 === 1) await sleep(Math.random() * 3);
        await claim.release();
        await renewal;
        await stage.assertFree(there, key);
      }
    },
  },
];
