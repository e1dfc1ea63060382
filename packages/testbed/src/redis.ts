import { Redis as Client } from "ioredis";
import { lentUrl } from "./backend.js";
import type { Extras } from "./engine.js";
import type { ReadingLink } from "./link.js";
import { freePort, loopback } from "./port.js";
import { Proxy } from "./proxy.js";

import { record } from "./record.js";
import { sideClient, startRedisServer } from "./redis-server.js";
import type { RedisConfig } from "./redis-server.js";
import type { Server } from "./server.js";

/** The server lent by `DLOCK_TEST_REDIS_URL`, else one of our own. */
export async function openRedis(): Promise<Redis> {
  const lent = lentUrl("redis");
  if (lent === undefined) return startRedis();
  const redis = new Redis(lent);
  await redis.client.ping();
  record("redis", "lent by DLOCK_TEST_REDIS_URL");
  return redis;
}

/** Starts one; its data survives `server.restart({ keepData: true })`. */
export async function startRedis(config: RedisConfig = {}, extras: Extras = {}): Promise<StartedRedis> {
  const port = await freePort();
  const server = await startRedisServer(port, config, "data", extras);
  return new Redis(`redis://${loopback}:${port}`, server) as StartedRedis;
}

export type StartedRedis = Redis & { readonly server: Server };
export type RedisLink = ReadingLink & { readonly url: string; close(): Promise<void> };

/** A Redis server to test on. */
export class Redis {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** What can happen to the server; absent when it is lent, for what was not started here is not killed either. */
  readonly server: Server | undefined;
  /** A look from the side: a connection of the testbed's own, which goes through no link. */
  readonly client: Client;
  readonly #links: Proxy[] = [];

  constructor(url: string, server?: Server) {
    const { hostname, port } = new URL(url);
    this.url = url;
    this.host = hostname;
    this.port = Number(port || 6379);
    this.server = server;
    this.client = sideClient(url);
  }

  /** A proxy in front of the server, and all that can happen to a network. */
  async link(): Promise<RedisLink> {
    const proxy = await Proxy.start(this.port, this.host);
    this.#links.push(proxy);
    const url = new URL(this.url);
    [url.hostname, url.port] = [loopback, String(proxy.port)];
    return Object.assign(proxy, { url: url.href.replace(/\/$/, "") });
  }

  /** `INFO`, as fields and values. */
  async info(section = "default"): Promise<Readonly<Record<string, string>>> {
    const lines = (await this.client.info(section)).split("\r\n");
    return Object.fromEntries(
      lines
        .filter((line) => /^[^#].*:/.test(line))
        .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
    );
  }

  /** How often the server ran which command while `work` was done, for any client; commands inside of scripts are among them. */
  async countCommands(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
    const before = await this.#commands();
    await work();
    const after = await this.#commands();
    // The first look itself shows in the second.
    after["info"] = (after["info"] ?? 0) - 1;
    const counts = Object.entries(after).map(([name, calls]) => [name, calls - (before[name] ?? 0)] as const);
    return Object.fromEntries(counts.filter(([, calls]) => calls > 0));
  }

  async stop(): Promise<void> {
    this.client.disconnect();
    await Promise.all(this.#links.map((link) => link.close()));
    await this.server?.stop();
  }

  async #commands(): Promise<Record<string, number>> {
    const stats = Object.entries(await this.info("commandstats"));
    return Object.fromEntries(
      stats.map(([name, value]) => [name.replace("cmdstat_", ""), Number(/calls=(\d+)/.exec(value)?.[1])]),
    );
  }
}
