import { startRedisSentinel } from "@dlock/testbed";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { redisResidue } from "./redis-residue.js";

/** A primary, its replica, and a sentinel that promotes it. Clients are told addresses by the sentinel: there are no links. */
export async function sentinelGround(workers: number): Promise<Ground> {
  const redis = await startRedisSentinel();
  const promotion = (name: string, how: "kill" | "pause", behind: boolean): Fault => ({
    name,
    forgets: true,
    async strike({ lasts }) {
      if (behind) {
        redis.replication.freeze();
        await sleep(lasts);
      }
      await redis.promote(how);
      return () => redis.rejoin();
    },
  });
  return {
    name: "redis-sentinel",
    entries: Array.from({ length: workers }, () => ({ url: redis.url })),
    ways: [],
    side: { url: redis.url },
    // A promotion takes two to three seconds: shorter holds are over by then.
    ttl: 4_000,
    pace: 1_200,
    recovery: 10_000,
    deadWaiter: 1_600,
    faults: [
      promotion("promoted", "kill", false),
      promotion("promoted-behind", "kill", true),
      promotion("promoted-paused", "pause", true),
    ],
    residue: () => redisResidue([redis.primary.client]),
    stop: () => redis.stop(),
  };
}
