import { Redis as Client } from "ioredis";
import { software } from "./backend.js";
import { engineFor } from "./engine.js";
import type { Extras } from "./engine.js";
import { loopback } from "./port.js";
import { Server } from "./server.js";

/** Directives, as in redis.conf; of several words where there are several. */
export type RedisConfig = Readonly<Record<string, string | readonly string[]>>;

const defaults: RedisConfig = {
  bind: loopback,
  save: "",
  // What was acknowledged survives SIGKILL: it was written to the file, if not to the disk.
  appendonly: "yes",
  // Else it puts writes off, which it acknowledges all the same, while a slow disk is being waited for.
  appendfsync: "no",
  "repl-diskless-sync-delay": "0",
};

/** Starts a redis-server, in whatever role; resolves when it answers. */
export async function startRedisServer(
  port: number,
  config: RedisConfig,
  role: "data" | "sentinel" = "data",
  { clock }: Extras = {},
): Promise<Server> {
  const redis = software("redis");
  const directives = { ...(role === "data" ? defaults : { bind: loopback }), ...config, port: String(port) };
  const args = Object.entries(directives).flatMap(([name, value]) => [`--${name}`, ...[value].flat()]);
  const program =
    role === "data"
      ? { software: redis, args, clock }
      : // A sentinel keeps what it learns in its configuration file.
        { software: redis, args: ["sentinel.conf", "--sentinel", ...args], files: ["sentinel.conf"] };
  return Server.start(await engineFor(redis), program, () => answers(port));
}

async function answers(port: number): Promise<boolean> {
  const client = new Client({
    port,
    host: loopback,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
    socketTimeout: 1_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.ping()) === "PONG";
  } catch {
    // Not listening yet, or still loading its data.
    return false;
  } finally {
    client.disconnect();
  }
}

/** A connection for looking and arranging: made when first used, fails rather than waits. */
export function sideClient(url: string): Client {
  const client = new Client(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 2,
    commandTimeout: 5_000,
    retryStrategy: () => 50,
  });
  return client.on("error", () => {});
}
