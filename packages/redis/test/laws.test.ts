import { type Alias, conformance, type Harness, spawnHolder } from "@dlock/conformance";
import { prefix } from "@dlock/core/combinators";
import { openRedis } from "@dlock/testbed";
import { createProvider, redisProvider, type RedisOptions } from "@dlock/redis";
import { Redis } from "ioredis";
import { afterAll, describe, test } from "vitest";
import { fifo, residueOf } from "./harness.js";

const redis = await openRedis();
afterAll(() => redis.stop());

/** A client of the application, and what is opened like it. */
async function lentPeer(client: object, options?: RedisOptions) {
  const redisClient = new Redis({ port: Number(new URL(redis.url).port), lazyConnect: true, ...client });
  const peer = peerOf(redisClient, options);
  return { provider: peer.provider, close: () => peer.close().finally(() => redisClient.disconnect()) };
}

async function prefixed(start: string, options: RedisOptions) {
  const { provider, close } = peerOf({ url: redis.url }, options);
  return { provider: prefix(provider, start), close };
}

const { host } = new URL(redis.url);
const aliases: readonly Alias[] = [
  {
    title: "a lent client with a key prefix, and a URL with a namespace",
    open: [
      () => lentPeer({ keyPrefix: "app:" }, { namespace: "shop:" }),
      async () => createPeer(`redis://${host}?namespace=app:shop:`),
    ],
  },
  {
    title: "a namespace at once, and a part of it as a prefix",
    open: [async () => peerOf({ url: redis.url }), () => prefixed("dlock:", { namespace: "" })],
  },
  {
    title: "a lent client of a database, and a URL with its number",
    open: [() => lentPeer({ db: 1 }), async () => peerOf({ url: `redis://${host}/1` })],
  },
  {
    title: "with a line, and without one",
    open: [async () => peerOf({ url: redis.url }), async () => createPeer(`redis://${host}/0?order=none`)],
  },
];

const harness: Harness = {
  ...fifo,
  name: "redis",
  aliases,
  open: async () => peerOf({ url: redis.url }),
  openLinked: async () => {
    const link = await redis.link();
    const peer = peerOf({ url: link.url });
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

function peerOf(where: Parameters<typeof redisProvider>[0], options?: RedisOptions) {
  const provider = redisProvider(where, options);
  return { provider, close: () => provider.close() };
}

function createPeer(url: string) {
  const provider = createProvider({ url }, { emit() {} });
  return { provider, close: async () => provider.close?.() };
}
