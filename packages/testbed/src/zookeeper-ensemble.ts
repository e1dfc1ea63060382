import type { Bundle } from "./bundle.js";
import { Links } from "./links.js";
import type { Extras } from "./engine.js";
import { freePort, loopback } from "./port.js";
import { stopAll } from "./stop.js";
import { until } from "./until.js";
import { ZooKeeper } from "./zookeeper.js";
import type { StartedZooKeeper } from "./zookeeper.js";
import { startZooKeeperServer } from "./zookeeper-server.js";
import type { ZooKeeperConfig } from "./zookeeper-server.js";
import { ZooKeeperWays } from "./zookeeper-ways.js";

const patience = 30_000;

/** Starts servers that elect a leader and reach each other through links only; resolves when all serve. */
export async function startZooKeeperEnsemble(
  size: number = 3,
  config: ZooKeeperConfig = {},
  extras: Extras = {},
): Promise<ZooKeeperEnsemble> {
  const ways = await ZooKeeperWays.among(size);
  const starts = await Promise.allSettled(
    Array.from({ length: size }, async (_, n) => {
      const port = await freePort();
      const server = await startZooKeeperServer(port, { ...config, ...ways.config(n) }, n + 1, extras);
      return new ZooKeeper(`zookeeper://${loopback}:${port}`, server) as StartedZooKeeper;
    }),
  );
  const nodes = starts.filter((start) => start.status === "fulfilled").map((start) => start.value);
  const ensemble = new ZooKeeperEnsemble(nodes, ways);
  try {
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    await ensemble.settle();
    return ensemble;
  } catch (error) {
    await ensemble.stop();
    throw error;
  }
}

/** Servers that are one to their clients. */
export class ZooKeeperEnsemble {
  /** Names all of them. */
  readonly url: string;
  readonly nodes: readonly StartedZooKeeper[];
  readonly #ways: ZooKeeperWays;

  constructor(nodes: readonly StartedZooKeeper[], ways: ZooKeeperWays) {
    this.nodes = nodes;
    this.url = `zookeeper://${nodes.map(({ host, port }) => `${host}:${port}`).join(",")}`;
    this.#ways = ways;
  }

  /** What two nodes say to each other. */
  between(one: StartedZooKeeper, other: StartedZooKeeper): Bundle {
    return this.#ways.at(this.nodes.indexOf(one), this.nodes.indexOf(other));
  }

  /** What a node says to all others, and they to it. Clients still reach it. */
  around(node: StartedZooKeeper): Bundle {
    return this.#ways.at(this.nodes.indexOf(node));
  }

  /** Links for a client: to all nodes, in their order; for a single one, ask that for its `link()`. */
  link(): Promise<Links> {
    return Links.to(this.nodes);
  }

  /** The leader, as soon as there is one. A former one that does not know yet is none. */
  async leader(): Promise<StartedZooKeeper> {
    let leader: StartedZooKeeper | undefined;
    const elected = async (): Promise<boolean> => {
      const reigns = await Promise.all(
        this.nodes.map(async (node) => ({ node, reign: (await node.role()) === "leader" ? await reignOf(node) : 0n })),
      );
      const [last] = reigns.toSorted((one, other) => Number(other.reign - one.reign));
      leader = last && last.reign > 0n ? last.node : undefined;
      return leader !== undefined;
    };
    await until(elected, patience, () => `${this.url} elects no leader`);
    return leader as unknown as StartedZooKeeper;
  }

  /** Who follows at the moment. */
  async followers(): Promise<readonly StartedZooKeeper[]> {
    const roles = await Promise.all(this.nodes.map((node) => node.role()));
    return this.nodes.filter((_, n) => roles[n] === "follower");
  }

  /** Resolves when one of `nodes` leads and the others follow it and have what it has. */
  async settle(nodes: readonly StartedZooKeeper[] = this.nodes): Promise<void> {
    const settled = async (): Promise<boolean> => {
      const roles = await Promise.all(nodes.map((node) => node.role()));
      const leader = nodes.find((_, n) => roles[n] === "leader");
      if (!leader || roles.filter((role) => role === "follower").length !== nodes.length - 1) return false;
      return (await leader.counters())["synced_followers"] === nodes.length - 1;
    };
    await until(settled, patience, () => `${this.url} does not settle`);
  }

  async stop(): Promise<void> {
    await stopAll(this.nodes);
    await this.#ways.close();
  }
}

/** Which reign a leader's is: the upper half of its transaction numbers. */
async function reignOf(node: StartedZooKeeper): Promise<bigint> {
  const said = await node.say("srvr").catch(() => "");
  return BigInt(/^Zxid: (0x[\da-f]+)$/m.exec(said)?.[1] ?? 0) >> 32n;
}
