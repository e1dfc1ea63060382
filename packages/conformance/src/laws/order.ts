import assert from "node:assert/strict";
import type { Claim } from "@dlock/core";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { contended } from "../signs.js";
import { later, within } from "../time.js";
import { unordered } from "./exemptions.js";

export const order: readonly Law[] = [
  {
    id: "order/first-come",
    title: "waiting claims are served in the order in which they joined",
    exempt: unordered,
    async run(stage) {
      const { holder, line } = await lineUp(stage, 5);
      await holder.release();
      await serve(stage, line);
    },
  },
  {
    id: "order/no-barging",
    title: "a newcomer is not given a free lock that somebody waits for",
    exempt: unordered,
    async run(stage) {
      const { key, holder, line } = await lineUp(stage, 1);
      await holder.release();
      const peer = await stage.peer();
      for (const join of [false, true]) {
        const newcomer = stage.claim(peer, { key, join });
        assert.equal(await stage.ask(newcomer), undefined, "a newcomer went before the waiter");
        await newcomer.release();
      }
      await serve(stage, line);
    },
  },
  {
    id: "order/place-kept",
    title: "asking again does not cost a waiter its place",
    exempt: unordered,
    async run(stage) {
      const { holder, line } = await lineUp(stage, 3);
      const [first] = line;
      for (let round = 0; round < 3; round++) assert.equal(first && (await stage.ask(first)), undefined);
      await holder.release();
      await serve(stage, line);
    },
  },
  {
    id: "order/leaver",
    title: "waiters that give up, first, last or in between, are passed over",
    exempt: unordered,
    async run(stage) {
      const { holder, line } = await lineUp(stage, 5);
      const leavers = [line[0], line[2], line[4]];
      for (const leaver of leavers) await leaver?.release();
      await holder.release();
      await serve(
        stage,
        line.filter((claim) => !leavers.includes(claim)),
      );
    },
  },
  {
    id: "order/processes",
    title: "waiters of different processes are served in the order in which they came",
    exempt: unordered,
    async run(stage) {
      const key = stage.key();
      const holder = await stage.locks(await stage.peer());
      const lock = await holder.acquire(key);
      const served: number[] = [];
      const waits: Promise<void>[] = [];
      for (let place = 0; place < 5; place++) {
        const locks = await stage.locks(await stage.peer());
        const joined = contended(locks);
        waits.push(later(locks.withLock(key, async () => void served.push(place))));
        await within(stage.slack, joined, "joining the line");
      }
      await lock.release();
      await within(2_000 + 10 * stage.slack, Promise.all(waits), "all waiters");
      assert.deepEqual(served, [0, 1, 2, 3, 4]);
    },
  },
];

/** A holder, and claims of two processes that wait for it, in this order. */
async function lineUp(stage: Stage, length: number): Promise<{ key: string; holder: Claim; line: Claim[] }> {
  const peers = [await stage.peer(), await stage.peer()] as const;
  const key = stage.key();
  const holder = stage.claim(peers[0], { key });
  await stage.win(holder);
  const line: Claim[] = [];
  for (let place = 0; place < length; place++) {
    const claim = stage.claim(peers[place % 2 === 0 ? 1 : 0], { key });
    assert.equal(await stage.ask(claim), undefined);
    line.push(claim);
  }
  return { key, holder, line };
}

/** Everybody in the line asks; only the first gets it. */
async function serve(stage: Stage, line: readonly Claim[]): Promise<void> {
  for (const [place, claim] of line.entries()) {
    for (const behind of line.slice(place + 1).toReversed()) {
      assert.equal(await stage.ask(behind), undefined, "a waiter was served before one that came earlier");
    }
    await stage.win(claim);
    await claim.release();
  }
}
