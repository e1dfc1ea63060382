import { Cluster } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isSelected, startRedisCluster } from "@dlock/testbed";
import type { RedisCluster } from "@dlock/testbed";

describe.runIf(isSelected("redis"))("a Redis cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster.stop());

  it("serves from three masters", async () => {
    const client = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })));
    for (let n = 0; n < 60; n++) await client.set(`key ${n}`, n);
    const sizes = await Promise.all(cluster.nodes.map((node) => node.client.dbsize()));
    expect(sizes.reduce((sum, size) => sum + size)).toBe(60);
    expect(Math.min(...sizes)).toBeGreaterThan(5);
    expect(cluster.url).toMatch(/^redis\+cluster:\/\/(127\.0\.0\.1:\d+,?){3}$/);
    client.disconnect();
  });

  it("can be disturbed for one client only, through links to all nodes", async () => {
    const links = await cluster.link();
    const client = new Cluster([...links.addresses], { natMap: links.natMap });
    await client.set("key", "value");
    links.freeze();
    const answers = ["a", "b", "c", "key"].map((key) => client.get(key));
    const silence = new Promise((resolve) => setTimeout(resolve, 100, "silence"));
    expect(await Promise.race([...answers, silence])).toBe("silence");
    links.heal();
    expect(await Promise.all(answers)).toEqual([null, null, null, "value"]);
    client.disconnect();
    await links.close();
  });

  it("is whole again when a node was killed and restarted with its data", async () => {
    await cluster.nodes[1]?.server.kill();
    await expect
      .poll(() => cluster.nodes[0]?.client.cluster("INFO"), { timeout: 15_000 })
      .toContain("cluster_state:fail");
    await cluster.nodes[1]?.server.restart({ keepData: true });
    await cluster.settle();
  });

  it("promotes the replica of a master when it is let, and not while it is not", async () => {
    const replicated = await startRedisCluster(3, { "cluster-node-timeout": "1000" }, { replicated: true });
    try {
      const [master, other] = replicated.nodes;
      if (!master || !other) throw new Error();
      await other.server.kill();
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      expect(await replicated.masters()).toEqual([master, replicated.nodes[2]]);
      await other.server.restart({ keepData: true });
      await replicated.settle();
      await replicated.promote(master);
      expect(await replicated.masters()).toEqual([other, replicated.nodes[2], replicated.replicas[0]]);
      await master.server.restart({ keepData: true });
      await replicated.settle();
      expect(await replicated.masters()).not.toContain(master);
    } finally {
      await replicated.stop();
    }
  }, 60_000);
});
