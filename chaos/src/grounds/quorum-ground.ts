import { startRedisQuorum } from "@dlock/testbed";
import { serverFaults } from "../faults/server-faults.js";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { selectDenied } from "../faults/select-denied.js";
import { application } from "./redis-application.js";
import { redisResidue } from "./redis-residue.js";

/** Three servers that know nothing of each other. */
export async function quorumGround(workers: number): Promise<Ground> {
  const group = await startRedisQuorum(3, application.config);
  const clients = group.nodes.map(({ client }) => client);
  const ways = await Promise.all(Array.from({ length: workers }, () => group.link()));
  let next = 0;
  // One after the other: no more than one is gone at a time.
  const one = () => group.nodes[next++ % group.nodes.length] as (typeof group.nodes)[number];
  const majorityPaused: Fault = {
    name: "majority-paused",
    async strike() {
      const two = [one(), one()];
      await Promise.all(two.map(({ server }) => server.pause()));
      return async () => {
        await Promise.all(two.map(({ server }) => server.resume()));
      };
    },
  };
  const url = (addresses: readonly { readonly host: string; readonly port: number }[]): string =>
    application.url(`redis+quorum://${addresses.map(({ host, port }) => `${host}:${port}`).join(",")}`);
  return {
    name: "redis-quorum",
    entries: ways.map(({ addresses }) => ({ url: url(addresses) })),
    ways,
    side: { url: `${group.url}/${application.database}` },
    ttl: 600,
    recovery: 6_000,
    deadWaiter: 0,
    faults: [
      ...serverFaults(() => one().server, { loses: "holds" }),
      majorityPaused,
      selectDenied(clients, application.user),
    ],
    residue: () => redisResidue(clients, application.databases),
    stop: async () => {
      await group.stop();
      await Promise.all(ways.map((way) => way.close()));
    },
  };
}
