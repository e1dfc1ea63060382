import { RedisGroup, startNodes } from "./redis-group.js";
import type { StartedRedis } from "./redis.js";
import type { RedisConfig } from "./redis-server.js";
import { stopAll } from "./stop.js";
import { until } from "./until.js";

const slots = 16_384;
const patience = 20_000;

/** Starts masters that share the slots evenly, and a replica of each if that is asked for; resolves when all of them serve. */
export async function startRedisCluster(
  size: number = 3,
  config: RedisConfig = {},
  { replicated = false }: { readonly replicated?: boolean } = {},
): Promise<RedisCluster> {
  // Nobody is promoted unawares.
  const clustered = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "2000",
    "cluster-replica-no-failover": "yes",
    ...config,
  };
  const masters = await startNodes(size, clustered);
  const cluster = new RedisCluster(masters, replicated ? await startNodes(size, clustered) : []);
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
  #replicas: readonly StartedRedis[];

  constructor(nodes: readonly StartedRedis[], replicas: readonly StartedRedis[] = []) {
    super("redis+cluster", nodes);
    this.#replicas = replicas;
  }

  /** Each of the node at its place, until it is promoted. */
  get replicas(): readonly StartedRedis[] {
    return this.#replicas;
  }

  /** Makes empty nodes a cluster. */
  async form(): Promise<void> {
    const [first, ...others] = [...this.nodes, ...this.#replicas];
    for (const [n, { client }] of this.nodes.entries()) {
      const from = Math.floor((n * slots) / this.nodes.length);
      const to = Math.floor(((n + 1) * slots) / this.nodes.length);
      await client.cluster("ADDSLOTS", ...Array.from({ length: to - from }, (_, slot) => from + slot));
      await client.cluster("SET-CONFIG-EPOCH", n + 1);
    }
    for (const { host, port } of others) await first?.client.cluster("MEET", host, port);
    await this.settle();
    for (const [n, replica] of this.#replicas.entries()) {
      const master = String(await this.nodes[n]?.client.cluster("MYID"));
      await replica.client.cluster("REPLICATE", master);
    }
    await this.settle();
  }

  /** Resolves when every node knows all others and serves, and every replica follows. */
  async settle(): Promise<void> {
    const all = [...this.nodes, ...this.#replicas];
    const signs = ["cluster_state:ok", `cluster_slots_ok:${slots}`, `cluster_known_nodes:${all.length}`];
    for (const node of all) {
      const serves = async (): Promise<boolean> => {
        const info = String(await node.client.cluster("INFO").catch(() => ""));
        const { role, master_link_status: link } = await node.info("replication").catch(() => ({}) as Answer);
        return signs.every((sign) => info.includes(`${sign}\r\n`)) && (role === "master" || link === "up");
      };
      await until(serves, patience, () => `${node.url} does not become part of the cluster`);
    }
  }

  /** Those who serve slots at present. */
  async masters(): Promise<readonly StartedRedis[]> {
    const all = [...this.nodes, ...this.#replicas];
    const roles = await Promise.all(all.map((node) => node.info("replication").catch(() => ({}) as Answer)));
    return all.filter((_, n) => roles[n]?.["role"] === "master");
  }

  /** Kills a master, and lets the cluster promote its replica; resolves when that serves. */
  async promote(master: StartedRedis): Promise<void> {
    const replica = await this.#replicaOf(master);
    await replica.client.config("SET", "cluster-replica-no-failover", "no");
    await master.server.kill();
    const promoted = async (): Promise<boolean> => (await replica.info("replication"))["role"] === "master";
    await until(promoted, patience, () => `the cluster does not promote ${replica.url}`);
    await replica.client.config("SET", "cluster-replica-no-failover", "yes");
  }

  override async stop(): Promise<void> {
    await stopAll([...this.nodes, ...this.#replicas]);
  }

  async #replicaOf(master: StartedRedis): Promise<StartedRedis> {
    for (const node of [...this.nodes, ...this.#replicas])
      if (node !== master && Number((await node.info("replication"))["master_port"]) === master.port) return node;
    throw new Error(`${master.url} has no replica`);
  }
}

type Answer = Readonly<Record<string, string>>;
