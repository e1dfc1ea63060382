import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isSelected, startZooKeeperEnsemble } from "@dlock/testbed";
import type { ZooKeeperEnsemble } from "@dlock/testbed";

describe.runIf(isSelected("zookeeper"))("a ZooKeeper ensemble", () => {
  let ensemble: ZooKeeperEnsemble;
  beforeAll(async () => {
    ensemble = await startZooKeeperEnsemble();
  }, 60_000);
  afterAll(() => ensemble.stop());

  const roles = async () => (await Promise.all(ensemble.nodes.map((node) => node.role()))).toSorted();

  it("has one leader, whom the others follow, and one tree", async () => {
    expect(ensemble.url).toMatch(/^zookeeper:\/\/(127\.0\.0\.1:\d+,?){3}$/);
    expect(await roles()).toEqual(["follower", "follower", "leader"]);
    const [one, other] = await ensemble.followers();
    await one?.tree.create("/a");
    expect(await other?.tree.paths()).toEqual(["/a"]);
  });

  it("elects another leader when the leader is killed, which follows when it is back", async () => {
    const leader = await ensemble.leader();
    await leader.server.kill();
    const next = await ensemble.leader();
    expect(next).not.toBe(leader);
    await ensemble.settle(ensemble.nodes.filter((node) => node !== leader));
    expect(await roles()).toEqual(["follower", "leader", "none"]);
    await leader.server.restart({ keepData: true });
    await ensemble.settle();
    expect(await ensemble.leader()).toBe(next);
    expect(await leader.tree.paths()).toEqual(["/a"]);
  });

  it("has a follower that goes on reading for a while when it is frozen out, and serves nobody then", async () => {
    const leader = await ensemble.leader();
    const [cut, other] = await ensemble.followers();
    if (!cut || !other) throw new Error("there are two");
    ensemble.between(leader, cut).freeze();
    await other.tree.create("/unknown to the cut one");
    expect(await cut.role()).toBe("follower");
    await expect.poll(() => cut.role(), { timeout: 5_000 }).toBe("none");
    // Its other neighbour, whom it still reaches, has a leader and elects none with it.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect([await leader.role(), await other.role(), await cut.role()]).toEqual(["leader", "follower", "none"]);
    ensemble.between(leader, cut).heal();
    await ensemble.settle();
    expect(await cut.tree.paths()).toEqual(["/a", "/unknown to the cut one"]);
  });

  it("deposes a leader that is cut off from all others, which follows when it is reached again", async () => {
    const leader = await ensemble.leader();
    ensemble.around(leader).cut();
    await expect.poll(() => ensemble.leader(), { timeout: 10_000 }).not.toBe(leader);
    await expect.poll(() => leader.role(), { timeout: 10_000 }).toBe("none");
    ensemble.around(leader).heal();
    await ensemble.settle();
    expect(await leader.role()).toBe("follower");
  });

  it("serves nobody without a majority, and again with it", async () => {
    const followers = await ensemble.followers();
    await Promise.all(followers.map((node) => node.server.kill()));
    await expect.poll(roles, { timeout: 10_000 }).toEqual(["none", "none", "none"]);
    await Promise.all(followers.map((node) => node.server.restart({ keepData: true })));
    await ensemble.settle();
    expect(await roles()).toEqual(["follower", "follower", "leader"]);
  });

  it("can be disturbed for one client only", async () => {
    const links = await ensemble.link();
    expect(links.addresses).toHaveLength(3);
    links.cut();
    await ensemble.settle();
    expect(await ensemble.nodes[0]?.tree.paths()).toContain("/a");
    await links.close();
  });
});
