import { RedisGroup, startNodes } from "./redis-group.js";
import type { StartedRedis } from "./redis.js";
import type { RedisConfig } from "./redis-server.js";
import { until } from "./until.js";

const slots = 16_384;

/** Starts masters that share the slots evenly; resolves when all of them serve. */
export async function startRedisCluster(size: number = 3, config: RedisConfig = {}): Promise<RedisCluster> {
  const clustered = { "cluster-enabled": "yes", "cluster-node-timeout": "2000", ...config };
  const cluster = new RedisCluster(await startNodes(size, clustered));
  try {
    await cluster.form();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** A node that restarts without its data has forgotten the cluster too. */
export class RedisCluster extends RedisGroup {
  constructor(nodes: readonly StartedRedis[]) {
    super("redis+cluster", nodes);
  }

  /** Makes empty nodes a cluster. */
  async form(): Promise<void> {
    const [first, ...others] = this.nodes;
    for (const [n, { client }] of this.nodes.entries()) {
      const from = Math.floor((n * slots) / this.nodes.length);
      const to = Math.floor(((n + 1) * slots) / this.nodes.length);
      await client.cluster("ADDSLOTS", ...Array.from({ length: to - from }, (_, slot) => from + slot));
      await client.cluster("SET-CONFIG-EPOCH", n + 1);
    }
    for (const { host, port } of others) await first?.client.cluster("MEET", host, port);
    await this.settle();
  }

  /** Resolves when every node knows all others and serves. */
  async settle(): Promise<void> {
    const signs = ["cluster_state:ok", `cluster_slots_ok:${slots}`, `cluster_known_nodes:${this.nodes.length}`];
    for (const { client, url } of this.nodes) {
      const serves = async (): Promise<boolean> => {
        const info = String(await client.cluster("INFO").catch(() => ""));
        return signs.every((sign) => info.includes(`${sign}\r\n`));
      };
      await until(serves, 20_000, () => `${url} does not become part of the cluster`);
    }
  }
}
