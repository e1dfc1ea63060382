import { startZooKeeperEnsemble } from "@dlock/testbed";
import { idleClockFaults } from "../faults/clock-faults.js";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { untilServing } from "./serving.js";

const [sessionTimeout, tickTime] = [1_000, 100];

/** Three servers. */
export async function zookeeperGround(workers: number): Promise<Ground> {
  const ensemble = await startZooKeeperEnsemble(3, {}, { clock: true });
  const ways = await Promise.all(Array.from({ length: workers }, () => ensemble.link()));
  const entry = (url: string) => ({ url, sessionTimeout, tickTime });
  const through = (addresses: readonly { readonly host: string; readonly port: number }[]): string =>
    `zookeeper://${addresses.map(({ host, port }) => `${host}:${port}`).join(",")}`;
  const leaderKilled: Fault = {
    name: "leader-killed",
    keepsSessions: true,
    async strike() {
      const leader = await ensemble.leader();
      await leader.server.kill();
      return async () => {
        await leader.server.restart({ keepData: true });
        await untilServing(ensemble);
      };
    },
  };
  const leaderPaused: Fault = {
    name: "leader-paused",
    keepsSessions: true,
    async strike() {
      const leader = await ensemble.leader();
      await leader.server.pause();
      return async () => {
        await leader.server.resume();
        await untilServing(ensemble);
      };
    },
  };
  const followerCut: Fault = {
    name: "follower-cut-off",
    async strike({ random }) {
      const [leader, followers] = [await ensemble.leader(), await ensemble.followers()];
      const between = ensemble.between(leader, random.pick(followers));
      const before = between.touched;
      between.freeze();
      // Shorter than a session it does nobody any harm.
      await sleep(sessionTimeout);
      return async () => {
        between.heal();
        await untilServing(ensemble);
        return between.touched > before;
      };
    },
  };
  const majorityLost: Fault = {
    name: "majority-lost",
    keepsSessions: true,
    async strike({ random }) {
      const spared = random.pick(ensemble.nodes);
      const lost = ensemble.nodes.filter((node) => node !== spared);
      await Promise.all(lost.map(({ server }) => server.kill()));
      return async () => {
        await Promise.all(lost.map(({ server }) => server.restart({ keepData: true })));
        await untilServing(ensemble);
      };
    },
  };
  // Sessions count by the monotonic clock, and tokens by transactions.
  const leaderClock = async () => {
    const leader = await ensemble.leader();
    return { server: leader.server, shows: () => leader.tree.clock() };
  };
  const [one] = ensemble.nodes;
  return {
    name: "zookeeper",
    entries: ways.map(({ addresses }) => entry(through(addresses))),
    ways,
    side: entry(ensemble.url),
    ttl: sessionTimeout,
    recovery: 8_000,
    deadWaiter: sessionTimeout + 200,
    faults: [
      leaderKilled,
      leaderPaused,
      followerCut,
      majorityLost,
      ...(one ? idleClockFaults(one.server, leaderClock) : []),
    ],
    settle: () => untilServing(ensemble),
    residue: async () => {
      const leader = await ensemble.leader();
      const nodes = (await leader.tree.paths()).filter((path) => path.split("/").length > 2);
      return [...nodes, ...(await leader.ephemerals()).keys()];
    },
    stop: async () => {
      await ensemble.stop();
      await Promise.all(ways.map((way) => way.close()));
    },
  };
}
