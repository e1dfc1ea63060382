// Records, asserts nothing: the throughput of a hot resource under one lock, and under several stripes.
//   npm run bench -- striped [redis://…] [seconds]
import { setTimeout as sleep } from "node:timers/promises";
import { createLocks } from "@dlock/core";
import { striped } from "@dlock/core/recipes";
import { startRedis } from "@dlock/testbed";

const [lent = "", seconds = "3"] = process.argv.slice(2);
const own = lent === "" ? await startRedis({ appendonly: "no" }) : undefined;
const url = own?.url ?? lent;
const [clients, hold] = [16, 5];

let one;
for (const stripes of [1, 2, 5, 10]) {
  const locks = await Promise.all(Array.from({ length: clients }, () => createLocks(url)));
  const name = `hot-${crypto.randomUUID()}`;
  const end = performance.now() + 1_000 * Number(seconds);
  let sections = 0;
  const worker = async (mine) => {
    const hot = striped(mine, name, stripes);
    while (performance.now() < end) {
      await hot.withAnyStripe(async () => {
        await sleep(hold);
        sections += 1;
      });
    }
  };
  await Promise.all(locks.map(worker));
  await Promise.all(locks.map((each) => each.close()));
  const rate = sections / Number(seconds);
  one ??= rate;
  const ratio = (rate / one).toFixed(2);
  console.log(
    `${String(stripes).padStart(2)} stripes: ${Math.round(rate)} sections a second, ${ratio} times one lock (${clients} clients, ${hold} ms hold)`,
  );
}
await own?.stop();
