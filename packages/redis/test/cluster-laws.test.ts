import { conformance, type Harness, spawnHolder } from "@dlock/conformance";
import { startRedisCluster } from "@dlock/testbed";
import { redisProvider, type RedisOptions } from "@dlock/redis";
import { Cluster } from "ioredis";
import { afterAll, describe, test } from "vitest";
import { fifo, residueOf } from "./harness.js";

const redis = await startRedisCluster();
afterAll(() => redis.stop());

const harness: Harness = {
  ...fifo,
  name: "redis-cluster",
  aliases: [
    {
      title: "a lent cluster with a key prefix, and a URL with a namespace",
      open: [
        async () =>
          peerOf(
            new Cluster(
              redis.nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
              { keyPrefix: "app:", lazyConnect: true },
            ),
            { namespace: "{shop" },
          ),
        async () => peerOf({ url: redis.url }, { namespace: "app:{shop" }),
      ],
    },
  ],
  open: async () => {
    const peer = peerOf({ url: redis.url });
    // Meeting three nodes takes longer than some laws give a first call.
    await peer.provider.connect();
    return peer;
  },
  openLinked: async () => {
    const link = await redis.link();
    // Names are mapped by a client that is handed in.
    const peer = peerOf(new Cluster([...link.addresses], { natMap: link.natMap, lazyConnect: true }));
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
  residue: () => residueOf(redis.nodes.map(({ client }) => client)),
};

describe("in a cluster", () => conformance(test.concurrent, harness));

function peerOf(where: Parameters<typeof redisProvider>[0], options?: RedisOptions) {
  const provider = redisProvider(where, options);
  return { provider, close: () => provider.close() };
}
