import { type Harness, spawnHolder } from "@dlock/conformance";
import { isSelected, startZooKeeperEnsemble } from "@dlock/testbed";
import { afterAll, describe } from "vitest";
import { common, harnessOf, peerOf, reaping, residueIn, sessionTimeout, someLaws, tickTime } from "./harness.js";

describe.runIf(isSelected("zookeeper"))("on an ensemble of three", async () => {
  // Servers that stand still for two seconds on a busy machine must not elect anew under laws that are about other things.
  const ensemble = await startZooKeeperEnsemble(3, { ...reaping, syncLimit: "100" });
  afterAll(() => ensemble.stop());

  const harness: Harness = {
    ...common,
    name: "zookeeper-ensemble",
    open: async () => peerOf(ensemble.url),
    openLinked: async () => {
      const link = await ensemble.link();
      const peer = peerOf(`zookeeper://${link.addresses.map(({ port }) => `127.0.0.1:${port}`).join(",")}`);
      return {
        ...peer,
        link,
        close: async () => {
          await peer.close();
          await link.close();
        },
      };
    },
    spawn: () =>
      spawnHolder(new URL("child/peer.mjs", import.meta.url), ensemble.url, String(sessionTimeout), String(tickTime)),
    residue: async () => residueIn(await (await ensemble.leader()).tree.paths()),
  };

  const slow = (id: string) => id === "loss/slow-answer";
  someLaws(harness, (id) => !slow(id));
  const [node] = ensemble.nodes;
  // Its answers take 60 % of the session's time. Who knows several servers asks another one long before that.
  if (node) describe("of which one is known", () => someLaws({ ...harness, ...harnessOf(node) }, slow));

  // Not beside the others, some of which have less time than an election takes.
  describe("whose leader dies", () =>
    someLaws(
      {
        ...harness,
        server: {
          failover: async () => {
            const leader = await ensemble.leader();
            await leader.server.kill();
            await ensemble.settle(ensemble.nodes.filter((one) => one !== leader));
          },
        },
      },
      (id) => id === "guarantees/failover",
    ));
});
