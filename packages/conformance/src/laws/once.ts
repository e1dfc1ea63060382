import assert from "node:assert/strict";
import type { Lock, Locks } from "@dlock/core";
import { once, type OnceOptions } from "@dlock/core/recipes";
import type { Law } from "../law.js";
import { aborted } from "../signs.js";
import type { Stage } from "../stage.js";
import { later, now, sleep, until, within } from "../time.js";
import { hasCode } from "./codes.js";
import { leased, unleased } from "./exemptions.js";
import { spawn } from "./processes.js";

export const onlyOnce: readonly Law[] = [
  {
    id: "once/one-a-tick",
    title:
      "of all who come in one tick one runs, and nobody else before atLeast is over, although the task was over at once",
    exempt: unleased,
    async run(stage) {
      const key = stage.key();
      const fleet = await Promise.all([0, 1, 2].map(async () => stage.locks(await stage.peer())));
      const atLeast = 1.3 * stage.ttl;
      const since = now();
      const ran: number[] = [];
      const work = async (locks: Locks): Promise<void> => {
        for (; ran.length < 2; await sleep(10)) {
          await stage.rideOut(() => once(locks, key, { ttl: stage.ttl, atLeast }, () => ran.push(now() - since)));
        }
      };
      await within(atLeast + 2 * stage.slack, Promise.all(fleet.map(work)), "the next one");
      const next = ran[1] ?? 0;
      assert.ok(next >= atLeast - 1, `ran again after ${Math.round(next)} of ${atLeast} ms`);
    },
  },
  {
    id: "once/next-tick",
    title: "the next tick is not missed, however long the ttl of the one that ran, and although its locks were closed",
    exempt: unleased,
    async run(stage) {
      const key = stage.key();
      const [runner, other] = [await stage.locks(await stage.peer()), await stage.locks(await stage.peer())];
      const options = { ttl: stage.longTtl, atLeast: 2 * stage.ttl };
      const since = now();
      assert.ok(await stage.rideOut(() => once(runner, key, options, () => {})));
      await within(2_000 + stage.slack, runner.close({ grace: 60_000 }), "close, which has nothing to wait for");
      await nextRuns(stage, other, key, since, options.atLeast);
    },
  },
  {
    id: "once/dead-runner",
    title: "a runner that vanished keeps the others out no longer than its ttl, and its task is told",
    exempt: unleased,
    needs: ["openLinked"],
    async run(stage) {
      const key = stage.key();
      const peer = await stage.linkedPeer();
      const [runner, other] = [await stage.locks(peer), await stage.locks(await stage.peer())];
      const { ttl } = stage;
      let running = false;
      const task = ({ signal }: Lock): Promise<number> => {
        running = true;
        return aborted(signal);
      };
      const work = later(stage.rideOut(() => once(runner, key, { ttl }, task)));
      await until(() => running, 2 * stage.slack, "the task");
      peer.link.freeze();
      const next = () => stage.rideOut(() => once(other, key, { ttl }, () => "it runs"));
      await until(async () => (await next()) !== undefined, ttl + stage.slack, "the next run");
      await assert.rejects(within(stage.slack, work, "the task of the one that vanished"), hasCode("LOCK_LOST"));
    },
  },
  {
    id: "once/refused",
    title: "where a hold ends with its process, once refuses before the task runs, and keeps nothing",
    exempt: leased,
    async run(stage) {
      const key = stage.key();
      const peer = await stage.peer();
      const locks = await stage.locks(peer);
      let ran = false;
      const task = (): void => void (ran = true);
      await assert.rejects(once(locks, key, { every: 60_000 }, task), hasCode("LOCK_CONFIG"));
      assert.equal(ran, false, "the task ran");
      await stage.assertFree(peer, key);
    },
  },
  {
    id: "processes/once-exit",
    title: "a process that ran once and closed ends at once, and its lock at atLeast",
    exempt: unleased,
    needs: ["spawn"],
    async run(stage) {
      const [runner, other] = [await spawn(stage), await stage.locks(await stage.peer())];
      const key = stage.key();
      const patience = 2_000 + stage.slack;
      const options = { ttl: stage.longTtl, atLeast: 2 * patience };
      const since = now();
      assert.equal(await runner.runOnce(key, options, "returns"), true);
      const next = later(nextRuns(stage, other, key, since, options.atLeast));
      await within(patience, runner.leave(), "the end of a process that ran once");
      await next;
    },
  },
  {
    id: "processes/once-killed",
    title: "a process that is killed after it ran once, at once or just before the next tick, costs nobody that tick",
    exempt: unleased,
    needs: ["spawn"],
    async run(stage) {
      // Were it renewed up to its end, it would be free half a ttl after the tick at the earliest.
      const ttl = Math.max(stage.ttl, 5 * stage.slack);
      await Promise.all([
        killed(stage, { ttl: stage.longTtl, atLeast: 3 * stage.ttl }, 0),
        killed(stage, { ttl, atLeast: 1.5 * ttl }, 0.9),
      ]);
    },
  },
  {
    id: "processes/once-in-task",
    title: "a process that is killed in its task keeps the others out until atLeast, and no longer",
    exempt: unleased,
    needs: ["spawn"],
    async run(stage) {
      // Were it renewed for all of `atLeast`, it would be free a third of that after the tick.
      const ttl = Math.max(stage.ttl, 2 * stage.slack);
      const options = { ttl, atLeast: 4 * ttl };
      await Promise.all([killed(stage, options, 0, "hangs"), killed(stage, options, 0.6, "hangs")]);
    },
  },
];

/** Kills a process that ran the task when that part of `atLeast` is over; the next one runs at its end. */
async function killed(
  stage: Stage,
  options: OnceOptions & { readonly atLeast: number },
  part: number,
  task: "returns" | "hangs" = "returns",
): Promise<void> {
  const [runner, other] = [await spawn(stage), await stage.locks(await stage.peer())];
  const key = stage.key();
  const since = now();
  assert.equal(await runner.runOnce(key, options, task), true);
  const next = later(nextRuns(stage, other, key, since, options.atLeast));
  await sleep(since + part * options.atLeast - now());
  await runner.kill();
  await next;
}

/** The next one runs when `atLeast` is over, neither before nor much later. */
async function nextRuns(stage: Stage, locks: Locks, key: string, since: number, atLeast: number): Promise<void> {
  // The one before may have begun at any time up to now.
  const latest = atLeast + 2 * stage.slack;
  const next = () => stage.rideOut(() => once(locks, key, { ttl: stage.ttl }, () => now() - since));
  let ran: { readonly result: number } | undefined;
  await until(async () => (ran = await next()) !== undefined, latest, "the next run");
  const after = ran?.result ?? 0;
  assert.ok(after >= atLeast - 1, `ran again after ${Math.round(after)} of ${atLeast} ms`);
}
