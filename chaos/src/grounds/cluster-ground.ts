import { startRedisCluster } from "@dlock/testbed";
import { serverFaults } from "../faults/server-faults.js";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { redisResidue } from "./redis-residue.js";

/**
 * Three masters that share the slots, and a replica of each. Clients are told addresses by the nodes, and go there: by a URL
 * alone none of them can be sent by a link of its own.
 */
export async function clusterGround(workers: number): Promise<Ground> {
  const config = { "cluster-node-timeout": "1000", "cluster-require-full-coverage": "no" };
  const cluster = await startRedisCluster(3, config, { replicated: true });
  let next = 0;
  const one = async () => {
    const masters = await cluster.masters();
    const master = masters[next++ % masters.length];
    if (!master) throw new Error("nobody serves");
    return master;
  };
  const promoted: Fault = {
    name: "promoted",
    forgets: true,
    async strike() {
      const master = await one();
      await cluster.promote(master);
      return async () => {
        await master.server.restart({ keepData: true });
        await cluster.settle();
      };
    },
  };
  // The replica is not promoted, so that what was acknowledged is kept.
  const standing = serverFaults(async () => (await one()).server).map((fault): Fault => ({
    ...fault,
    async strike(scene) {
      const heal = await fault.strike(scene);
      return heal && (() => heal().then(() => cluster.settle()));
    },
  }));
  return {
    name: "redis-cluster",
    entries: Array.from({ length: workers }, () => ({ url: cluster.url })),
    ways: [],
    side: { url: cluster.url },
    // A promotion takes two to three seconds: shorter holds are over by then.
    ttl: 4_000,
    pace: 1_200,
    recovery: 10_000,
    deadWaiter: 1_600,
    faults: [...standing, promoted],
    settle: () => cluster.settle(),
    residue: async () => redisResidue((await cluster.masters()).map(({ client }) => client)),
    stop: () => cluster.stop(),
  };
}
