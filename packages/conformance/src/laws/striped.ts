import assert from "node:assert/strict";
import { nextStripe, striped, type Striped } from "@dlock/core/recipes";
import type { Law } from "../law.js";
import { sleep, until, within } from "../time.js";

const stripes = 3;

export const stripedLocks: readonly Law[] = [
  {
    id: "striped/side-by-side",
    title: "as many sections run at the same time as there are stripes, one under each, and sell everything once",
    async run(stage) {
      const key = stage.key();
      const stock = Array.from({ length: stripes }, () => 3);
      const busy = new Set<number>();
      let [most, sold] = [0, 0];
      const sell = async (counter: Striped): Promise<void> => {
        for (let round = 0; ; round++) {
          const stripe = await stage.rideOut(() =>
            counter.withAnyStripe(async (lock, part) => {
              assert.ok(!busy.has(part), "two sections run under one stripe");
              most = Math.max(most, busy.add(part).size);
              // The first ones stay until all are in. That not all came in is told below, once everybody has left: to fail in here would
              // leave the others waiting.
              if (round === 0) await until(() => most === stripes, stage.slack, "all stripes").catch(() => {});
              const left = stock[part] ?? 0;
              await sleep(1);
              lock.throwIfLost();
              busy.delete(part);
              if (left === 0) return nextStripe;
              stock[part] = left - 1;
              return part;
            }),
          );
          if (stripe === undefined) return;
          sold++;
        }
      };
      const counters = await Promise.all(
        [0, 1, 2].map(async () => striped(await stage.locks(await stage.peer()), key, stripes)),
      );
      const sale = [...counters, ...counters].map(sell);
      await within(2_000 + 20 * stage.slack, Promise.all(sale), "the sale");
      assert.equal(most, stripes, "sections under different stripes did not run at the same time");
      assert.equal(sold, 3 * stripes, "something was sold twice, or not at all");
    },
  },
];
