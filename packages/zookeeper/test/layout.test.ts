import { isSelected, startZooKeeper } from "@dlock/testbed";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { name, opener, soon, win } from "./side.js";

/** What other releases of dlock, and Curator, have in the same tree. Who changes this changes the layout: see LAYOUT.md. */
describe.runIf(isSelected("zookeeper"))("layout", async () => {
  const zookeeper = await startZooKeeper();
  const { tree } = zookeeper;
  afterAll(() => zookeeper.stop());
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  const open = opener((close) => closing.push(close));

  const guid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
  const below = async (parent: string) =>
    (await tree.paths()).filter((path) => path.startsWith(`${parent}/`)).map((path) => path.slice(parent.length + 1));

  test("of a hold: one node, in the order of the server, with the label in it", async () => {
    const { claim } = open(`${zookeeper.url}/app/locks`);
    const key = `a/b ${name()}`;
    const parent = `/app/locks/${key.replace("/", "%2F")}`;
    const token = await win(claim(key, { owner: "the läbel" }));
    await claim(key, { owner: "waits" }).tryAcquire(soon());
    const [holder = "", waiter = "", ...others] = await below(parent);
    const [first, second] = [holder, waiter].toSorted((one, other) => (one.slice(-10) < other.slice(-10) ? -1 : 1));
    expect(others).toEqual([]);
    expect(first).toMatch(new RegExp(`^_c_${guid}-lock-0000000000$`));
    expect(second).toMatch(new RegExp(`^_c_${guid}-lock-0000000001$`));
    expect(await tree.data(`${parent}/${first}`)).toBe("the läbel");
    expect(await tree.data(`${parent}/${second}`)).toBe("waits");
    expect(await tree.data(parent)).toBe("");
    // The offset, chosen such that the first token was the time in µs.
    const offset = BigInt(await tree.data("/app/locks/%offset"));
    expect(token).toBeGreaterThan(offset);
    expect(Math.abs(Number(token / 1_000n) - Date.now())).toBeLessThan(30_000);
  });

  test("of a hold without an order: the sole node, with its guid and the label in it", async () => {
    const { claim } = open(zookeeper.url, { order: "none" });
    const key = name();
    await win(claim(key, { owner: "the läbel" }));
    await claim(key).tryAcquire(soon());
    expect(await below(`/${key}`)).toEqual(["lock-"]);
    expect(await tree.data(`/${key}/lock-`)).toMatch(new RegExp(`^${guid} the läbel$`));
  });

  test("what others wrote is understood: their nodes, whoever made them, and the offset", async () => {
    const { claim, provider } = open(`${zookeeper.url}/others`);
    await tree.create("/others/%offset", "-5");
    // Clients of Curator, one of them with its read-write lock, and one of kazoo; and what is no lock.
    const nodes = ["_c_0f-lock-0000000001", "_c_0f-__WRIT__0000000000", "0f__lock__0000000002", "lock-", "config"];
    for (const node of nodes) await tree.create(`/others/a/${node}`, `of ${node}`);
    const waiter = claim("a", { owner: "ours" });
    expect(await waiter.tryAcquire(soon())).toBeUndefined();
    const { holders, waiters } = await provider.inspect("a");
    expect([...holders, ...waiters].map(({ owner }) => owner)).toEqual([
      "of lock-",
      "of _c_0f-__WRIT__0000000000",
      "of _c_0f-lock-0000000001",
      "of 0f__lock__0000000002",
      "ours",
    ]);
    for (const node of nodes) await tree.remove(`/others/a/${node}`);
    const token = await win(waiter);
    expect((await provider.inspect("a")).holders).toMatchObject([{ owner: "ours", fencingToken: token }]);
    expect(token).toBeLessThan(100_000n);
  });
});
