import { Links } from "./links.js";
import { startRedis } from "./redis.js";
import type { StartedRedis } from "./redis.js";
import type { RedisConfig } from "./redis-server.js";
import { stopAll } from "./stop.js";

/** Starts servers that know nothing of each other, as a quorum needs them. */
export async function startRedisQuorum(size: number = 3, config: RedisConfig = {}): Promise<RedisGroup> {
  return new RedisGroup("redis+quorum", await startNodes(size, config));
}

export async function startNodes(size: number, config: RedisConfig): Promise<readonly StartedRedis[]> {
  const nodes: StartedRedis[] = [];
  try {
    while (nodes.length < size) nodes.push(await startRedis(config));
    return nodes;
  } catch (error) {
    await stopAll(nodes);
    throw error;
  }
}

/** Several servers of one rank. */
export class RedisGroup {
  /** Names all of them. */
  readonly url: string;
  readonly nodes: readonly StartedRedis[];

  constructor(scheme: string, nodes: readonly StartedRedis[]) {
    this.nodes = nodes;
    this.url = `${scheme}://${nodes.map(({ host, port }) => `${host}:${port}`).join(",")}`;
  }

  /** Links to all nodes; a client of a cluster needs their `natMap`. */
  link(): Promise<Links> {
    return Links.to(this.nodes);
  }

  async stop(): Promise<void> {
    await stopAll(this.nodes);
  }
}
