import { conformance, spawnHolder } from "@dlock/conformance";
import { redisQuorum } from "@dlock/redis";
import { startRedisQuorum } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { quorumHarness, residueOf } from "./harness.js";

const group = await startRedisQuorum(5);
afterAll(() => group.stop());

describe("on a quorum of five servers", () =>
  conformance(test.concurrent, {
    ...quorumHarness,
    name: "quorum",
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

function peerOf(url: string) {
  const provider = redisQuorum({ url });
  return { provider, close: async () => provider.close?.() };
}
