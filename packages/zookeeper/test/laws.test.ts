import { conformance, type Harness, spawnHolder } from "@dlock/conformance";
import { isSelected, openZooKeeper, startZooKeeper } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { common, guarantees, harnessOf, reaping, sessionTimeout, someLaws, tickTime } from "./harness.js";

describe.runIf(isSelected("zookeeper"))("on one server", async () => {
  const zookeeper = await openZooKeeper(reaping);
  afterAll(() => zookeeper.stop());

  conformance(test.concurrent, {
    ...common,
    ...harnessOf(zookeeper),
    name: "zookeeper",
    spawn: () =>
      spawnHolder(new URL("child/peer.mjs", import.meta.url), zookeeper.url, String(sessionTimeout), String(tickTime)),
  });

  describe("without an order", () =>
    conformance(test.concurrent, {
      ...common,
      ...harnessOf(zookeeper, { order: "none" }),
      name: "zookeeper-none",
      offers: ["inspect", "forceRelease", "raise"],
      guarantees: { ...guarantees, order: "none", modes: ["exclusive"] },
    }));
});

// A server of its own: tokens that were raised beyond the clock are forgotten with its data.
describe.runIf(isSelected("zookeeper"))("on one server that restarts and stands still", async () => {
  const zookeeper = await startZooKeeper(reaping);
  afterAll(() => zookeeper.stop());

  const harness: Harness = {
    ...common,
    ...harnessOf(zookeeper),
    name: "zookeeper-restarted",
    server: {
      restart: (how) => zookeeper.server.restart(how),
      pause: async () => {
        await zookeeper.server.pause();
        return () => zookeeper.server.resume();
      },
    },
  };
  someLaws(harness, (id) => id.startsWith("server/"));
});
