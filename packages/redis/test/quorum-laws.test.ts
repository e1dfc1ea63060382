import { conformance, spawnHolder } from "@dlock/conformance";
import { quorum } from "@dlock/core/combinators";
import { redisProvider, redisQuorum, type RedisQuorumOptions } from "@dlock/redis";
import { startRedisQuorum } from "@dlock/testbed";
import { Redis } from "ioredis";
import { afterAll, describe, test } from "vitest";
import { quorumHarness, residueOf } from "./harness.js";

const group = await startRedisQuorum(5);
afterAll(() => group.stop());

describe("on a quorum of five servers", () =>
  conformance(test.concurrent, {
    ...quorumHarness,
    name: "quorum",
    aliases: [
      {
        title: "a quorum by its URL, and one of lent clients with key prefixes",
        open: [
          async () => peerOf(group.url, { namespace: "app:shop:" }),
          async () => {
            const clients = group.nodes.map(({ port }) => new Redis({ port, keyPrefix: "app:", lazyConnect: true }));
            const members = clients.map((client) => redisProvider(client, { namespace: "shop:" }));
            return {
              provider: quorum(members),
              close: async () => {
                await Promise.all(members.map((member) => member.close()));
                for (const client of clients) client.disconnect();
              },
            };
          },
        ],
      },
    ],
    open: async () => peerOf(group.url),
    openLinked: async () => {
      const links = await group.link();
      const url = `redis+quorum://${links.addresses.map(({ host, port }) => `${host}:${port}`).join(",")}`;
      const peer = peerOf(url);
      return {
        ...peer,
        link: links,
        close: async () => {
          await peer.close();
          await links.close();
        },
      };
    },
    spawn: () => spawnHolder(new URL("child/quorum-peer.mjs", import.meta.url), group.url),
    residue: () => residueOf(group.nodes.map(({ client }) => client)),
    server: {
      restart: async (options) => void (await Promise.all(group.nodes.map(({ server }) => server.restart(options)))),
      pause: async () => {
        await Promise.all(group.nodes.map(({ server }) => server.pause()));
        return async () => void (await Promise.all(group.nodes.map(({ server }) => server.resume())));
      },
    },
  }));

function peerOf(url: string, options?: RedisQuorumOptions) {
  const provider = redisQuorum({ url }, options);
  return { provider, close: async () => provider.close?.() };
}
