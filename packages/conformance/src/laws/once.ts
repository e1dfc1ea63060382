import assert from "node:assert/strict";
import type { Lock } from "@dlock/core";
import { once } from "@dlock/core/recipes";
import type { Law } from "../law.js";
import { aborted } from "../signs.js";
import { later, now, sleep, until, within } from "../time.js";
import { hasCode } from "./codes.js";

export const onlyOnce: readonly Law[] = [
  {
    id: "once/one-a-tick",
    title:
      "of all who come in one tick one runs, and nobody else before atLeast is over, although the task was over at once",
    async run(stage) {
      const key = stage.key();
      const fleet = await Promise.all([0, 1, 2].map(async () => stage.locks(await stage.peer())));
      const atLeast = 1.3 * stage.ttl;
      const since = now();
      const ran: number[] = [];
      const work = async (locks: (typeof fleet)[number]): Promise<void> => {
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
    id: "once/dead-runner",
    title: "a runner that vanished keeps the others out no longer than its ttl, and its task is told",
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
];
