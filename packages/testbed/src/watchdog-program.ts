import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { removeFolder } from "./folder.js";
import { killTree } from "./tree.js";
import type { Leftover, WatchdogOrder } from "./watchdog.js";

const leftovers = new Map<number, Leftover>();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, leftover } = JSON.parse(line) as WatchdogOrder;
    if (leftover) leftovers.set(id, leftover);
    else leftovers.delete(id);
  })
  .on("close", () => void cleanUp());

async function cleanUp(): Promise<void> {
  // The latest first: programs before the folders they write to.
  for (const leftover of [...leftovers.values()].toReversed()) await remove(leftover).catch(() => {});
  process.exit();
}

async function remove(leftover: Leftover): Promise<void> {
  switch (leftover.kind) {
    case "process":
      await killTree(leftover.pid);
      break;
    case "folder":
      await removeFolder(leftover.path, leftover.undo);
      break;
    case "container": {
      const { getContainerRuntimeClient } = await import("testcontainers");
      const { dockerode } = (await getContainerRuntimeClient()).container;
      const away = (): Promise<void> => dockerode.getContainer(leftover.name).remove({ force: true, v: true });
      // The engine may still be making what our end interrupted.
      await away().catch(() => setTimeout(2_000).then(away));
      break;
    }
  }
}
