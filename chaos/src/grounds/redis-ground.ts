import { startRedis } from "@dlock/testbed";
import { clockFaults } from "../faults/clock-faults.js";
import { serverFaults } from "../faults/server-faults.js";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { isFence, redisResidue } from "./redis-residue.js";

/** One server. */
export async function redisGround(workers: number): Promise<Ground> {
  const redis = await startRedis({}, { clock: true });
  const links = await Promise.all(Array.from({ length: workers }, () => redis.link()));
  const flushed: Fault = {
    name: "flushall",
    forgets: true,
    losesTokens: true,
    brief: true,
    async strike() {
      const holds = (await redis.client.keys("*")).filter((key) => !isFence(key)).length;
      await redis.client.flushall();
      return async () => holds > 0;
    },
  };
  /** Nothing that takes room is written any more. */
  const full: Fault = {
    name: "memory-full",
    async strike() {
      await redis.client.config("SET", "maxmemory", 1);
      const refusal: unknown = await redis.client.set("dlock-full", "").catch((error: unknown) => error);
      if (!String(refusal).includes("OOM")) throw new Error("there is memory left");
      return async () => {
        await redis.client.config("SET", "maxmemory", 0);
      };
    },
  };
  const shows = async (): Promise<number> => {
    const [seconds, micros] = await redis.client.time();
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  };
  return {
    name: "redis",
    entries: links.map(({ url }) => ({ url })),
    ways: links,
    side: { url: redis.url },
    ttl: 400,
    recovery: 4_000,
    deadWaiter: 1_600,
    faults: [
      ...serverFaults(() => redis.server, { loses: "holds" }),
      flushed,
      full,
      ...clockFaults({ server: redis.server, shows }),
    ],
    residue: () => redisResidue([redis.client]),
    stop: () => redis.stop(),
  };
}
