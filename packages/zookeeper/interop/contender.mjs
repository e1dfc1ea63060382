// One process that contends: node contender.mjs count <url> <key> <kind> <file> <total> <at once> <rest in ms> | hold <url> <key> <kind>, where kind is mutex, write or read. Says "ready" and begins at the first line of its input.
import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { createLocks } from "@dlock/core";

const [mode, url, key, kind, counter, total, atOnce, rest] = process.argv.slice(2);
const options = { mode: kind === "read" ? "shared" : "exclusive" };
const locks = await createLocks({ url, sessionTimeout: 4_000, curator: kind === "mutex" ? "mutex" : "read-write" });

/** Until the file, which no two may change at a time, says `total`. */
async function count() {
  for (let found = 0; found < total;) {
    const lock = await locks.acquire(key, options);
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
  await locks.acquire(key, options);
  console.log(`held ${process.hrtime.bigint()}`);
  await commands.next();
} else {
  await Promise.all(Array.from({ length: Number(atOnce) }, count));
  console.log("done");
}
await locks.close();
