import { isSelected, modelCheck, startZooKeeper } from "@dlock/testbed";
import { zookeeperProvider } from "@dlock/zookeeper";
import { afterAll, describe, expect, test } from "vitest";
import { reaping, residueIn } from "./harness.js";

describe.runIf(isSelected("zookeeper"))("on one server", async () => {
  const zookeeper = await startZooKeeper(reaping);
  afterAll(() => zookeeper.stop());

  test(
    "readers, writers and permits do what the model does, in thousands of random schedules",
    { timeout: 240_000 },
    async () => {
      const { url } = zookeeper;
      const providers = [zookeeperProvider({ url }), zookeeperProvider({ url }, { curator: "read-write" })] as const;
      await modelCheck({ providers, count: 3_000, seed: 1 });
      await Promise.all(providers.map((provider) => provider.close()));
      expect(residueIn(await zookeeper.tree.paths())).toEqual([]);
    },
  );
});
