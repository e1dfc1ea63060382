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

  test("of readers, permits and writers: the kind in the name, a permit's with its limit", async () => {
    const { claim } = open(zookeeper.url);
    const { claim: writer } = open(zookeeper.url, { curator: "read-write" });
    const [read, limited] = [name(), name()];
    await win(claim(read, { mode: "shared", owner: "reads" }));
    await writer(read).tryAcquire(soon());
    await win(claim(limited, { limit: 12, owner: "has a permit" }));
    const [one = "", other = "", ...others] = (await below(`/${read}`)).toSorted((a, b) =>
      a.slice(-10) < b.slice(-10) ? -1 : 1,
    );
    expect(others).toEqual([]);
    expect(one).toMatch(new RegExp(`^_c_${guid}-__READ__0000000000$`));
    expect(other).toMatch(new RegExp(`^_c_${guid}-__WRIT__0000000001$`));
    expect(await tree.data(`/${read}/${one}`)).toBe("reads");
    const [permit = "", ...more] = await below(`/${limited}`);
    expect(more).toEqual([]);
    expect(permit).toMatch(new RegExp(`^_c_${guid}-limit-12-lock-0000000000$`));
    expect(await tree.data(`/${limited}/${permit}`)).toBe("has a permit");
  });

  test("of a downgraded hold: a reader of the same number, with the czxid that its token is counted from", async () => {
    const { claim, provider } = open(zookeeper.url);
    const key = name();
    const mine = claim(key, { owner: "the label" });
    const token = await win(mine);
    await claim(key).tryAcquire(soon());
    const [writer = ""] = (await below(`/${key}`)).filter((child) => child.endsWith("0"));
    await mine.downgrade?.();
    const czxid = token - BigInt(await tree.data("/%offset"));
    const [reader = ""] = (await below(`/${key}`)).filter((child) => child.endsWith("0"));
    expect(reader).toBe(writer.replace("-lock-", `-${czxid}-__READ__`));
    expect(await tree.data(`/${key}/${reader}`)).toBe("the label");
    expect((await provider.inspect(key)).holders).toEqual([
      { owner: "the label", mode: "shared", fencingToken: token },
    ]);
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
    // A writer of Curator that reads too, readers of Curator and of kazoo, and a writer behind them.
    const pair = ["_c_0f-__WRIT__0000000020", "_c_0f-__READ__0000000020"];
    const group = [...pair, "_c_1f-__READ__0000000021", "0f__rlock__0000000022", "_c_2f-__WRIT__0000000023"];
    for (const node of group) await tree.create(`/others/b/${node}`, node);
    const said = async () => {
      const { holders: holding, waiters: waiting } = await provider.inspect("b");
      return [holding, waiting].map((some) => some.map(({ owner, mode }) => [owner, mode]));
    };
    expect(await said()).toEqual([
      [[group[0], "exclusive"]],
      [
        [group[1], "shared"],
        [group[2], "shared"],
        [group[3], "shared"],
        [group[4], "exclusive"],
      ],
    ]);
    await tree.remove(`/others/b/${group[0]}`);
    expect(await said()).toEqual([
      [
        [group[1], "shared"],
        [group[2], "shared"],
        [group[3], "shared"],
      ],
      [[group[4], "exclusive"]],
    ]);
    expect(token).toBeLessThan(100_000n);
  });
});
