import assert from "node:assert/strict";
import type { Holder } from "../holder.js";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { later, now, sleep, until, within } from "../time.js";

export const processes: readonly Law[] = [
  {
    id: "processes/exclusion",
    title: "sections of different processes never overlap, and their tokens grow in the order of the sections",
    needs: ["spawn"],
    async run(stage) {
      const key = stage.key();
      const holders = await Promise.all([spawn(stage), spawn(stage), spawn(stage)]);
      const contending = Promise.all(holders.map((holder) => holder.contend(key, 15)));
      const spans = (await within(5_000 + 60 * stage.slack, contending, "contending")).flat();
      spans.sort((one, other) => (one.from < other.from ? -1 : 1));
      for (const [place, span] of spans.entries()) {
        const before = spans[place - 1];
        if (before === undefined) continue;
        assert.ok(before.to <= span.from, "two processes were inside at once");
        assert.ok(before.token < span.token, "the later section has the smaller token");
      }
      assert.equal(spans.length, 45);
    },
  },
  {
    id: "processes/killed-holder",
    title: "the lock of a process that was killed is free by its ttl, and the next token is larger",
    needs: ["spawn"],
    async run(stage) {
      const [holder, peer] = [await spawn(stage), await stage.peer()];
      const key = stage.key();
      const token = await holder.acquire(key, { ttl: stage.ttl });
      const locks = await stage.locks(peer);
      const next = later(locks.acquire(key, { ttl: stage.ttl }));
      await holder.kill();
      const lock = await within(Math.max(stage.ttl, lifetime(stage)) + stage.slack, next, "the next holder");
      assert.ok(lock.fencingToken > token);
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "processes/killed-waiter",
    title: "a waiting process that was killed holds up those behind it for a bounded time only",
    needs: ["spawn"],
    async run(stage) {
      const [doomed, peer] = [await spawn(stage), await stage.peer()];
      const key = stage.key();
      const locks = await stage.locks(peer);
      const lock = await locks.acquire(key);
      void later(doomed.acquire(key, { ttl: stage.ttl }));
      await waits(stage, peer, key);
      const next = later(locks.acquire(key, { ttl: stage.ttl * 2 }));
      await doomed.kill();
      await lock.release();
      const served = await within(
        stage.deadWaiter + lifetime(stage) + stage.slack,
        next,
        "the waiter behind a dead one",
      );
      assert.equal(await served.release(), true);
    },
  },
  {
    id: "processes/stopped-holder",
    title:
      "a process that was stopped beyond its ttl takes no step after its successor's grant, and its late release leaves the successor alone",
    needs: ["spawn"],
    async run(stage) {
      const [holder, peer] = [await spawn(stage), await stage.peer()];
      const key = stage.key();
      await holder.acquire(key, { ttl: stage.ttl });
      const locks = await stage.locks(peer);
      const next = later(locks.acquire(key).then((lock) => ({ lock, grantedAt: process.hrtime.bigint() })));
      const early = await Promise.race([next, sleep(stage.ttl)]);
      assert.equal(early, undefined, "granted to another while the holder worked");
      holder.stop();
      stage.finally(() => holder.continue());
      const stoppedAt = now();
      const { lock, grantedAt } = await within(lifetime(stage) + stage.slack, next, "the next holder");
      await sleep(stoppedAt + lifetime(stage) - now());
      holder.continue();
      await until(async () => (await holder.report()).lost, stage.slack, "the loss, after SIGCONT");
      const { lastStep } = await holder.report();
      assert.ok(lastStep < grantedAt, "a step was taken in the belief to hold the lock, after the successor's grant");
      assert.equal(await holder.release(), false);
      lock.throwIfLost();
      await stage.assertTaken(await stage.peer(), key);
      assert.equal(await lock.release(), true);
    },
  },
  {
    id: "processes/exit",
    title: "a process that closed its locks and its provider comes to its end by itself",
    needs: ["spawn"],
    async run(stage) {
      const [holder, peer] = [await spawn(stage), await stage.peer()];
      const key = stage.key();
      await holder.acquire(key, { ttl: stage.ttl });
      await within(2_000 + stage.slack, holder.leave(), "the end of a process that closed everything");
      await stage.assertFree(peer, key);
    },
  },
];

export async function spawn(stage: Stage): Promise<Holder> {
  assert.ok(stage.harness.spawn);
  const holder = await stage.harness.spawn();
  stage.finally(() => holder.kill());
  return holder;
}

/** How long a dead process keeps a lock, at most; a session may last longer than the ttl that was asked for. */
function lifetime(stage: Stage): number {
  return Math.max(stage.ttl, stage.deadWaiter);
}

/** Until the other process waits, as far as one can tell from outside. */
async function waits(stage: Stage, peer: Awaited<ReturnType<Stage["peer"]>>, key: string): Promise<void> {
  const { inspect } = stage.harness.offers?.includes("inspect") ? peer.provider : {};
  if (stage.harness.guarantees.order === "none" || inspect === undefined) return sleep(stage.slack);
  await until(
    async () => (await peer.provider.inspect?.(key))?.waiters.length === 1,
    2_000 + stage.slack,
    "the other process waits",
  );
}
