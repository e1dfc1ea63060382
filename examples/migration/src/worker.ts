import { setTimeout as sleep } from "node:timers/promises";
import { type Config, createLocks } from "@dlock/core";
import type { Section } from "./section.js";

/** The application: it knows what must be exclusive, and nothing of backends. */
const [config = "{}", keys = "1", ttl = "3000"] = process.argv.slice(2);
const locks = await createLocks(JSON.parse(config) as Config, { ttl: Number(ttl) });
let leaving = false;

async function work(key: string): Promise<void> {
  while (!leaving) {
    const section = await locks.withLock(key, async (lock): Promise<Section> => {
      const from = process.hrtime.bigint();
      await sleep(1);
      lock.throwIfLost();
      return { key, token: lock.fencingToken, from, to: process.hrtime.bigint() };
    });
    process.send?.(section);
  }
}

process.on("message", () => (leaving = true));
// Whoever started it is gone.
process.on("disconnect", () => process.exit(1));
process.send?.("ready");
await Promise.all(Array.from({ length: Number(keys) }, (_, number) => work(`key:${number}`)));
await locks.close();
process.removeAllListeners("disconnect");
process.disconnect();
