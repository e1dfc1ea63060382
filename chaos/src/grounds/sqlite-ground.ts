import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ground } from "../ground.js";

/** A file: there is no server and no network that anything could happen to. */
export async function sqliteGround(workers: number): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), "dlock-chaos-"));
  const url = `sqlite://${join(folder, "locks.db")}`;
  return {
    name: "sqlite",
    entries: Array.from({ length: workers }, () => ({ url })),
    ways: [],
    side: { url },
    ttl: 600,
    recovery: 6_000,
    deadWaiter: 0,
    faults: [],
    // Rows of free keys stay for a day, so that their tokens go on from there.
    residue: async () => [],
    stop: () => rm(folder, { recursive: true }),
  };
}
