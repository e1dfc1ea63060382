import { startRedis } from "@dlock/testbed";
import { clockFaults } from "../faults/clock-faults.js";
import { serverFaults } from "../faults/server-faults.js";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { selectDenied } from "../faults/select-denied.js";
import { application } from "./redis-application.js";
import { locksIn, redisResidue } from "./redis-residue.js";

/** One server. */
export async function redisGround(workers: number): Promise<Ground> {
  const redis = await startRedis(application.config, { clock: true });
  const links = await Promise.all(Array.from({ length: workers }, () => redis.link()));
  const flushed: Fault = {
    name: "flushall",
    forgets: true,
    losesTokens: true,
    brief: true,
    async strike() {
      const holds = (await locksIn(redis.client, application.databases)).length;
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
    entries: links.map(({ url }) => ({ url: application.url(url) })),
    ways: links,
    side: { url: `${redis.url}/${application.database}` },
    ttl: 400,
    recovery: 4_000,
    deadWaiter: 1_600,
    faults: [
      ...serverFaults(() => redis.server, { loses: "holds" }),
      flushed,
      full,
      selectDenied([redis.client], application.user),
      ...clockFaults({ server: redis.server, shows }),
    ],
    residue: () => redisResidue([redis.client], application.databases),
    stop: () => redis.stop(),
  };
}
