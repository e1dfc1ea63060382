// One process that contends: node contender.mjs count <url> <key> <file> <total> <at once> <rest in ms> | hold <url> <key>. Says "ready" and begins at the first line of its input.
import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { createLocks } from "@dlock/core";

const [mode, url, key, counter, total, atOnce, rest] = process.argv.slice(2);
const locks = await createLocks({ url, sessionTimeout: 4_000 });

/** Until the file, which no two may change at a time, says `total`. */
async function count() {
  for (let found = 0; found < total;) {
    const lock = await locks.acquire(key);
    try {
      const from = process.hrtime.bigint();
      // Empty while somebody else writes it, which nobody may now.
      found = Number((await readFile(counter, "utf8")) || -1);
      await setTimeout(1);
      if (found >= 0 && found < total) await writeFile(counter, String(found + 1));
      if (found < total) console.log(`section ${from} ${process.hrtime.bigint()} ${found}`);
    } finally {
      await lock.release();
    }
    await setTimeout(Number(rest));
  }
}

const commands = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log("ready");
await commands.next();
if (mode === "hold") {
  await locks.acquire(key);
  console.log(`held ${process.hrtime.bigint()}`);
  await commands.next();
} else {
  await Promise.all(Array.from({ length: Number(atOnce) }, count));
  console.log("done");
}
await locks.close();
