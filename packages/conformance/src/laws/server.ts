import assert from "node:assert/strict";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { later, now, sleep, within } from "../time.js";
import { aborted, contended, TurnWatch } from "../signs.js";
import { hasCode } from "./codes.js";
import { assertGrew } from "./tokens.js";

export const server: readonly Law[] = [
  {
    id: "server/restart",
    title: "when the server restarts with its data, nobody is granted a lock before its holder gave it up or was told",
    needs: ["server.restart"],
    alone: true,
    async run(stage) {
      const key = stage.key();
      const holder = await stage.locks(await stage.peer());
      const other = await stage.locks(await stage.peer());
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      const next = later(other.acquire(key, { ttl: stage.ttl }));
      let grantedAt: number | undefined;
      void next.then(
        () => (grantedAt = now()),
        () => {},
      );
      let toldAt: number | undefined;
      void aborted(lock.signal).then((at) => (toldAt = at));
      const turns = new TurnWatch();
      await stage.harness.server?.restart?.({ keepData: true });
      for (const end = now() + 2 * lock.ttl; now() < end && toldAt === undefined;) await sleep(5);
      const untold = turns.turned(grantedAt ?? now(), toldAt ?? now());
      assert.equal(untold, false, "granted to another before the holder was told");
      await lock.release();
      await within(lock.ttl + stage.slack, next, "the next holder");
    },
  },
  {
    id: "server/restart-token",
    title: "tokens grow across a restart of the server with its data",
    needs: ["server.restart"],
    alone: true,
    run: (stage) => growAcross(stage, true),
  },
  {
    id: "server/empty-restart-token",
    title: "tokens grow across a restart of the server without its data",
    needs: ["server.restart"],
    alone: true,
    run: (stage) => growAcross(stage, false),
  },
  {
    id: "server/restart-waiter",
    title: "a waiter is served also when the server restarts while it waits",
    needs: ["server.restart"],
    alone: true,
    async run(stage) {
      const [holder, waiter] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const key = stage.key();
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      const waits = contended(waiter);
      const next = later(waiter.acquire(key, { ttl: stage.ttl }));
      await within(2 * stage.slack, waits, "waiting");
      await stage.harness.server?.restart?.({ keepData: true });
      await lock.release();
      await within(2_000 + 2 * lock.ttl + stage.slack, next, "the waiter");
    },
  },
  {
    id: "server/empty-restart",
    title: "when the server restarts without its data, the holder is told and everybody goes on",
    needs: ["server.restart"],
    alone: true,
    async run(stage) {
      const [holder, waiter] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const key = stage.key();
      const lock = await holder.acquire(key, { ttl: stage.ttl });
      const waits = contended(waiter);
      const next = later(waiter.acquire(key, { ttl: stage.ttl }));
      await within(2 * stage.slack, waits, "waiting");
      await stage.harness.server?.restart?.({ keepData: false });
      const patience = 2_000 + 2 * lock.ttl + stage.slack;
      const successor = await within(patience, next, "the waiter");
      assert.ok(successor.fencingToken > lock.fencingToken);
      await within(lock.ttl + stage.slack, aborted(lock.signal), "the signal of a holder whose hold was forgotten");
      assert.equal(await lock.release(), false);
      successor.throwIfLost();
    },
  },
  {
    id: "server/pause",
    title: "a server that stands still ends a wait with LockBackendError, and works again when it goes on",
    needs: ["server.pause"],
    alone: true,
    async run(stage) {
      const locks = await stage.locks(await stage.peer());
      const key = stage.key();
      await locks.withLock(key, async () => {});
      const resume = await stage.harness.server?.pause?.();
      stage.finally(() => resume?.());
      const call = locks.acquire(key, { backendTimeout: 150 });
      await assert.rejects(within(150 + stage.slack, call, "acquire"), hasCode("LOCK_BACKEND"));
      await resume?.();
      const lock = await within(2_000 + stage.slack, locks.acquire(key), "acquire, when the server goes on");
      assert.equal(await lock.release(), true);
    },
  },
];

async function growAcross(stage: Stage, keepData: boolean): Promise<void> {
  const peer = await stage.peer();
  const key = stage.key();
  const before = await stage.assertFree(peer, key);
  await stage.harness.server?.restart?.({ keepData });
  assertGrew(await stage.assertFree(peer, key, stage.slack + stage.ttl), before);
  const newcomer = await stage.peer();
  assertGrew(await stage.assertFree(newcomer, key), before);
}
