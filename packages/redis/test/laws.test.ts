import { conformance, type Harness, spawnHolder } from "@dlock/conformance";
import { openRedis } from "@dlock/testbed";
import { redisProvider } from "@dlock/redis";
import { afterAll, describe, test } from "vitest";
import { fifo, residueOf } from "./harness.js";

const redis = await openRedis();
afterAll(() => redis.stop());

const harness: Harness = {
  ...fifo,
  name: "redis",
  open: async () => peerOf(redis.url),
  openLinked: async () => {
    const link = await redis.link();
    const peer = peerOf(link.url);
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
  residue: () => residueOf([redis.client]),
  server: redis.server && {
    restart: (options) => redis.server?.restart(options) ?? Promise.resolve(),
    pause: async () => {
      await redis.server?.pause();
      return async () => redis.server?.resume();
    },
  },
};

describe("on one server", () => conformance(test.concurrent, harness));

function peerOf(url: string) {
  const provider = redisProvider({ url });
  return { provider, close: () => provider.close() };
}
