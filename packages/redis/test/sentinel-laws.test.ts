import { conformance, type Harness, spawnHolder } from "@dlock/conformance";
import { startRedisSentinel } from "@dlock/testbed";
import { redisProvider } from "@dlock/redis";
import { Redis } from "ioredis";
import { afterAll, describe, test } from "vitest";
import { fifo, residueOf } from "./harness.js";

const redis = await startRedisSentinel();
afterAll(() => redis.stop());

const harness: Harness = {
  ...fifo,
  name: "redis-sentinel",
  open: async () => {
    const peer = peerOf({ url: redis.url });
    // Asking a sentinel first takes longer than some laws give a first call.
    await peer.provider.connect();
    return peer;
  },
  openLinked: async () => {
    const link = await redis.link();
    const [, , sentinel] = link.addresses;
    // Names are mapped by a client that is handed in.
    const client = new Redis({
      sentinels: sentinel ? [sentinel] : [],
      name: redis.name,
      natMap: link.natMap,
      lazyConnect: true,
    });
    const peer = peerOf(client);
    return {
      ...peer,
      link,
      close: async () => {
        await peer.close();
        await link.close();
      },
    };
  },
  spawn: () => spawnHolder(new URL("child/peer.mjs", import.meta.url), redis.url),
  residue: () => residueOf([redis.primary.client]),
};

describe("behind Sentinel", () => conformance(test.concurrent, harness));

function peerOf(where: Parameters<typeof redisProvider>[0]) {
  const provider = redisProvider(where);
  return { provider, close: () => provider.close() };
}
