import { Links } from "./links.js";
import { freePort, loopback } from "./port.js";
import { Redis, startRedis } from "./redis.js";
import type { RedisLink, StartedRedis } from "./redis.js";
import type { RedisConfig } from "./redis-server.js";
import { startRedisServer } from "./redis-server.js";
import { stopAll } from "./stop.js";
import { until } from "./until.js";

const name = "dlock";
const patience = 30_000;

/** Starts a primary, a replica that follows it over a link, and a sentinel that watches both and needs nobody's consent. */
export async function startRedisSentinel(config: RedisConfig = {}): Promise<RedisSentinel> {
  const started: StartedRedis[] = [];
  const start = async (starting: Promise<StartedRedis>): Promise<StartedRedis> => {
    started.push(await starting);
    return starting;
  };
  try {
    const [primary, replica] = [await start(startRedis(config)), await start(startRedis(config))];
    const all = new RedisSentinel(primary, replica, await start(startSentinel()));
    await all.watch();
    return all;
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

async function startSentinel(): Promise<StartedRedis> {
  const port = await freePort();
  const server = await startRedisServer(port, {}, "sentinel");
  return new Redis(`redis://${loopback}:${port}`, server) as StartedRedis;
}

export class RedisSentinel {
  /** `redis+sentinel://` with the sentinel and the name of what it watches. */
  readonly url: string;
  readonly name: string = name;
  readonly sentinel: StartedRedis;
  #primary: StartedRedis;
  #replica: StartedRedis;
  #replication: RedisLink | undefined;

  constructor(primary: StartedRedis, replica: StartedRedis, sentinel: StartedRedis) {
    this.#primary = primary;
    this.#replica = replica;
    this.sentinel = sentinel;
    this.url = `redis+sentinel://${sentinel.host}:${sentinel.port}/${name}`;
  }

  get primary(): StartedRedis {
    return this.#primary;
  }

  get replica(): StartedRedis {
    return this.#replica;
  }

  /** The way from the primary to the replica: what is written while it is frozen is lost by a promotion. */
  get replication(): RedisLink {
    if (!this.#replication) throw new Error("nothing is replicated yet");
    return this.#replication;
  }

  /** Has the replica follow the primary and the sentinel watch both. */
  async watch(): Promise<void> {
    await this.#follow();
    const { client } = this.sentinel;
    await client.call("SENTINEL", "MONITOR", name, this.#primary.host, this.#primary.port, 1);
    await client.call("SENTINEL", "SET", name, "down-after-milliseconds", 1_000);
    // Until then a sentinel tolerates a replica that follows another address than it knows, that of the link.
    await client.call("SENTINEL", "SET", name, "failover-timeout", 600_000);
    await this.#untilKnown();
  }

  /** Kills the primary, or stops it, and waits until the sentinel has made the replica the primary and says so. What was the primary is the `replica` then, for better or worse. */
  async promote(how: "kill" | "pause" = "kill"): Promise<void> {
    await this.#primary.server[how]();
    const { port } = this.#replica;
    const announced = async (): Promise<boolean> => {
      const address = (await this.sentinel.client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as string[] | null;
      return Number(address?.[1]) === port && (await this.#replica.info("replication"))["role"] === "master";
    };
    await until(announced, patience, () => `the sentinel does not promote ${this.#replica.url}`);
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
  }

  /** Brings what `promote` killed or stopped back, as a replica of the present primary: from here, another promotion. */
  async rejoin(): Promise<void> {
    await this.#replica.server.restart({ keepData: true });
    await this.#replication?.close();
    // It would ask the replica for news within ten seconds only: a new watch begins at once.
    await this.sentinel.client.call("SENTINEL", "REMOVE", name);
    await this.watch();
  }

  /** Links to primary, replica and sentinel, in this order; give their `natMap` to the client. */
  link(): Promise<Links> {
    return Links.to([this.#primary, this.#replica, this.sentinel]);
  }

  async stop(): Promise<void> {
    await stopAll([this.sentinel, this.#replica, this.#primary]);
  }

  async #follow(): Promise<void> {
    this.#replication = await this.#primary.link();
    await this.#replica.client.replicaof(loopback, this.#replication.port);
    const follows = async (): Promise<boolean> =>
      (await this.#replica.info("replication"))["master_link_status"] === "up";
    await until(follows, patience, () => `${this.#replica.url} does not follow ${this.#primary.url}`);
  }

  async #untilKnown(): Promise<void> {
    const known = async (): Promise<boolean> => {
      const replicas = (await this.sentinel.client.call("SENTINEL", "REPLICAS", name)) as readonly unknown[];
      const said = JSON.stringify(replicas);
      return replicas.length === 1 && said.includes('"master-link-status","ok"') && said.includes('"flags","slave"');
    };
    await until(known, patience, () => `the sentinel does not see ${this.#replica.url}`);
  }
}
