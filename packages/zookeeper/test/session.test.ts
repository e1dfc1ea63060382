import { type AddressInfo, connect, createServer } from "node:net";
import { isSelected, startZooKeeper, type StartedZooKeeper } from "@dlock/testbed";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Session } from "../src/session.js";
import { GuardedClient } from "../src/session/guarded-client.js";
import { bytes, name, opener, sleep, until } from "./session-side.js";

const open = opener((close) => onTestFinished(close));
const secret = { scheme: "digest", auth: "me:secret" };
/** Whoever made it. */
const own = [{ perms: 31, scheme: "auth", id: "" }];

describe.runIf(isSelected("zookeeper"))("a session", () => {
  let zookeeper: StartedZooKeeper;
  beforeAll(async () => void (zookeeper = await startZooKeeper()));
  afterAll(() => zookeeper?.stop());

  test("has the timeout that the server grants, not the one asked for", async () => {
    const short = await open(zookeeper.port, { timeout: 1 });
    expect(short.timeout).toBe(200);
    const long = await open(zookeeper.port, { timeout: 10_000_000 });
    expect(long.timeout).toBe(60_000);
  });

  test("makes, reads, changes and removes nodes", async () => {
    const session = await open(zookeeper.port);
    const path = name();
    const made = await session.create(path, bytes("one"), { kind: "persistent" });
    expect(made.path).toBe(path);
    const { data, stat } = await session.getData(path);
    expect(Buffer.from(data).toString()).toBe("one");
    expect(stat).toMatchObject({ czxid: made.czxid, version: 0, ephemeralOwner: 0n, dataLength: 3, numChildren: 0 });
    expect((await session.setData(path, bytes(""), 0)).version).toBe(1);
    const child = await session.create(`${path}/n-`, bytes("é"), { kind: "ephemeral-sequential" });
    expect(child.path).toBe(`${path}/n-0000000000`);
    expect(child.czxid).toBeGreaterThan(made.czxid);
    expect(await session.getChildren(path)).toMatchObject({ children: ["n-0000000000"], stat: { numChildren: 1 } });
    expect((await session.exists(child.path))?.ephemeralOwner).toBe(session.id);
    await session.sync(path);
    await session.delete(child.path, -1);
    expect(await session.exists(child.path)).toBeUndefined();
    await session.delete(path, 1);
    expect(await zookeeper.tree.paths()).not.toContain(path);
  });

  test("says why the server refused, and that it did nothing", async () => {
    const session = await open(zookeeper.port);
    const path = name();
    await session.create(path, bytes(""), { kind: "persistent" });
    await session.create(`${path}/e`, bytes(""), { kind: "ephemeral" });
    const refused = (reason: string) => expect.objectContaining({ name: "ZooKeeperError", reason, noEffect: true });
    await expect(session.create(path, bytes(""), { kind: "persistent" })).rejects.toEqual(refused("NODE_EXISTS"));
    await expect(session.create(`${path}/x/y`, bytes(""), { kind: "ephemeral" })).rejects.toEqual(refused("NO_NODE"));
    await expect(session.getData(`${path}/x`)).rejects.toEqual(refused("NO_NODE"));
    await expect(session.delete(path, -1)).rejects.toEqual(refused("NOT_EMPTY"));
    await expect(session.create(`${path}/e/f`, bytes(""), { kind: "persistent" })).rejects.toEqual(
      refused("NO_CHILDREN_FOR_EPHEMERALS"),
    );
    await expect(session.create("odd", bytes(""), { kind: "persistent" })).rejects.toEqual(refused("BAD_ARGUMENTS"));
    // A code that the client does not know: an ACL of no scheme it has.
    const odd = [{ perms: 31, scheme: "nobody", id: "x" }];
    await expect(session.create(`${path}/o`, bytes(""), { kind: "persistent", acl: odd })).rejects.toEqual(
      refused("INVALID_ACL"),
    );
    expect(session.connected).toBe(true);
  });

  test("replaces a node by an ephemeral one, or does neither", async () => {
    const session = await open(zookeeper.port, { auth: [secret] });
    const path = name();
    await session.create(path, bytes("one"), { kind: "persistent" });
    await session.create(`${path}-taken`, bytes(""), { kind: "persistent" });
    const refused = (reason: string) => expect.objectContaining({ name: "ZooKeeperError", reason, noEffect: true });
    await expect(session.replace(path, `${path}-taken`, bytes(""), own)).rejects.toEqual(refused("NODE_EXISTS"));
    await expect(session.replace(`${path}-0`, `${path}-1`, bytes(""), own)).rejects.toEqual(refused("NO_NODE"));
    await expect(session.replace(path, `${path}-1/a`, bytes(""), own)).rejects.toEqual(refused("NO_NODE"));
    expect(Buffer.from((await session.getData(path)).data).toString()).toBe("one");
    expect(await session.exists(`${path}-1`)).toBeUndefined();
    await session.replace(path, `${path}-1`, bytes("two"), own);
    expect(await session.exists(path)).toBeUndefined();
    const { data, stat } = await session.getData(`${path}-1`);
    expect([Buffer.from(data).toString(), stat.ephemeralOwner]).toEqual(["two", session.id]);
    const stranger = await open(zookeeper.port);
    await expect(stranger.getData(`${path}-1`)).rejects.toEqual(refused("NO_AUTH"));
  });

  test("compares version 0 like any other", async () => {
    const session = await open(zookeeper.port);
    const path = name();
    await session.create(path, bytes(""), { kind: "persistent" });
    await session.setData(path, bytes("1"), 0);
    await expect(session.setData(path, bytes("2"), 0)).rejects.toMatchObject({ reason: "BAD_VERSION" });
    await expect(session.delete(path, 0)).rejects.toMatchObject({ reason: "BAD_VERSION" });
    await session.setData(path, bytes("3"), -1);
  });

  test("refuses what is too long for the server, instead of losing the connection by it", async () => {
    const session = await open(zookeeper.port);
    const long = session.create(name(), Buffer.alloc(1_100_000), { kind: "persistent" });
    await expect(long).rejects.toMatchObject({ reason: "BAD_ARGUMENTS", noEffect: true });
    await session.exists("/");
    expect(session.connected).toBe(true);
  });

  test("makes containers, which go when they are empty, also after the server has read its log again", async () => {
    const session = await open(zookeeper.port, { timeout: 20_000 });
    const path = name();
    await session.create(path, bytes(""), { kind: "container" });
    const child = await session.create(`${path}/n-`, bytes(""), { kind: "ephemeral-sequential" });
    await zookeeper.server.restart({ keepData: true });
    await session.ready(performance.now() + 5_000);
    expect(await zookeeper.server.log()).not.toMatch(/digest.*mismatch|mismatch.*digest/i);
    await session.delete(child.path, -1);
    await until(async () => (await session.exists(path)) === undefined);
  });

  test("sends its credentials before anything else, on every connection", async () => {
    const link = await zookeeper.link();
    onTestFinished(() => link.close());
    const session = await open(link.port, { auth: [secret, { scheme: "digest", auth: "other:secret" }] });
    const path = name();
    await session.create(path, bytes("x"), { kind: "persistent", acl: own });
    const reading = new Promise((resolve, reject) => {
      session.onConnection((connected) => {
        if (connected) session.getData(path).then(resolve, reject);
      });
    });
    link.cut();
    link.heal();
    await reading;
    const stranger = await open(zookeeper.port);
    await expect(stranger.getData(path)).rejects.toMatchObject({ reason: "NO_AUTH" });
  });

  test("is refused with credentials that the server does not accept", async () => {
    const opening = open(zookeeper.port, { auth: [{ scheme: "unheard-of", auth: "x" }] });
    await expect(opening).rejects.toMatchObject({ reason: "AUTH_FAILED" });
  });

  test("finds servers by IPv6 addresses, with and without brackets", async () => {
    const server = createServer((socket) => {
      const on = connect(zookeeper.port, "127.0.0.1");
      socket.on("error", () => {}).pipe(on);
      on.on("error", () => {}).pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (const host of ["::1", "[::1]"]) {
      const session = await open(0, { servers: [{ host, port }] });
      expect(await session.exists("/")).toBeDefined();
      await session.close();
    }
  });

  test("goes on when its requests were counted up to 2^31", async () => {
    const trying = vi.spyOn(GuardedClient.prototype, "findNextServer");
    onTestFinished(() => trying.mockRestore());
    const session = await open(zookeeper.port);
    const client = trying.mock.contexts[0] as GuardedClient;
    client.xid = 0x7ffffffd;
    for (let n = 0; n < 10; n++) await session.exists("/");
    expect(client.xid).toBeLessThan(20);
    expect(session.connected).toBe(true);
  });

  test("answers in order, and what is asked in one turn takes one round trip", async () => {
    const link = await zookeeper.link();
    onTestFinished(() => link.close());
    link.delay(50);
    const session = await open(link.port, { timeout: 20_000 });
    const path = name();
    await session.create(path, bytes(""), { kind: "persistent" });
    const order: string[] = [];
    const since = performance.now();
    const made = session.create(`${path}/n-`, bytes(""), { kind: "ephemeral-sequential" });
    const listed = session.getChildren(path);
    void made.then(() => order.push("made"));
    void listed.then(() => order.push("listed"));
    expect((await listed).children).toEqual([(await made).path.slice(path.length + 1)]);
    expect(order).toEqual(["made", "listed"]);
    // One round trip, not two.
    expect(performance.now() - since).toBeLessThan(190);
  });

  describe("its watches", () => {
    test("tell once, whoever asked, of a change of the data or of the children", async () => {
      const session = await open(zookeeper.port);
      const path = name();
      await session.create(path, bytes(""), { kind: "persistent" });
      const [data, children] = [vi.fn(), vi.fn()];
      await session.getData(path, data);
      await session.setData(path, bytes("1"), -1);
      await session.setData(path, bytes("2"), -1);
      await until(() => data.mock.calls.length > 0);
      await session.getChildren(path, children);
      await session.create(`${path}/a`, bytes(""), { kind: "ephemeral" });
      await session.create(`${path}/b`, bytes(""), { kind: "ephemeral" });
      await until(() => children.mock.calls.length > 0);
      await session.exists("/");
      expect(data).toHaveBeenCalledOnce();
      expect(children).toHaveBeenCalledOnce();
    });

    test("are one at the server for many here, and no warning is printed about them", async () => {
      const warned = vi.fn();
      process.on("warning", warned);
      onTestFinished(() => void process.off("warning", warned));
      const session = await open(zookeeper.port);
      const path = name();
      await session.create(path, bytes(""), { kind: "persistent" });
      const watches = Array.from({ length: 50 }, () => vi.fn<() => void>());
      await Promise.all(watches.map((watch) => session.getData(path, watch)));
      expect((await zookeeper.watches()).get(path)).toBe(1);
      for (const watch of watches.slice(0, 25)) session.unwatch(watch);
      await session.delete(path, -1);
      await until(() => watches.slice(25).every((watch) => watch.mock.calls.length === 1));
      expect(watches.slice(0, 25).every((watch) => watch.mock.calls.length === 0)).toBe(true);
      await sleep(5);
      expect(warned).not.toHaveBeenCalled();
    });

    test("are not set on a node that is not there", async () => {
      const session = await open(zookeeper.port);
      const [path, watch] = [name(), vi.fn()];
      await expect(session.getData(path, watch)).rejects.toMatchObject({ reason: "NO_NODE" });
      expect((await zookeeper.watches()).has(path)).toBe(false);
      await session.close();
      expect(watch).not.toHaveBeenCalled();
    });
  });

  describe("its heartbeat", () => {
    test("tells which nodes are there, in one request for all", async () => {
      const session = await open(zookeeper.port, { timeout: 20_000 });
      const path = name();
      await session.create(path, bytes(""), { kind: "persistent" });
      const asked = [path, `${path}/a`, "/", `${path}/b`, path];
      const told = await Promise.allSettled(asked.map((each) => session.heartbeat(each)));
      expect(told.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "rejected", "fulfilled"]);
      expect(told[3]).toMatchObject({ reason: { reason: "NO_NODE", noEffect: true } });
      const { packets_received: requests } = await zookeeper.count(() =>
        Promise.all(Array.from({ length: 300 }, () => session.heartbeat(path))),
      );
      // The looks at the counters and whatever else is connected here ask too.
      expect(requests).toBeLessThan(20);
    });

    test("tells once when a node that is kept is gone, and asks no more when it is not kept", async () => {
      const session = await open(zookeeper.port, { timeout: 400 });
      const path = name();
      await session.create(path, bytes(""), { kind: "persistent" });
      const [gone, unasked] = [vi.fn(), vi.fn()];
      session.keep(path, gone);
      session.keep(path, unasked)();
      await sleep(200);
      expect(gone).not.toHaveBeenCalled();
      await zookeeper.tree.remove(path);
      await until(() => gone.mock.calls.length > 0, 400);
      await sleep(200);
      expect(gone).toHaveBeenCalledOnce();
      expect(unasked).not.toHaveBeenCalled();
    });

    test("keeps a session certain for more than half of its timeout, many timeouts long", async () => {
      const session = await open(zookeeper.port, { timeout: 1_000 });
      const path = name();
      await session.create(path, bytes(""), { kind: "ephemeral" });
      session.keep(path, () => {});
      let least = Number.POSITIVE_INFINITY;
      for (const end = performance.now() + 3_000; performance.now() < end; await sleep(20)) {
        least = Math.min(least, session.certainUntil() - performance.now());
      }
      expect(least).toBeGreaterThan(450);
      expect(session.connected).toBe(true);
    });
  });

  test("is certain for its timeout, from before it was asked for", async () => {
    const link = await zookeeper.link();
    onTestFinished(() => link.close());
    link.delay(100);
    const since = performance.now();
    const session = await open(link.port);
    expect(session.certainUntil()).toBeLessThanOrEqual(since + 1_000);
    expect(session.certainUntil()).toBeGreaterThan(since + 900);
    await session.close();
    expect(session.certainUntil()).toBe(Number.NEGATIVE_INFINITY);
  });

  test("gets no more certain by reads: only by what went through the leader", async () => {
    const session = await open(zookeeper.port, { timeout: 1_000 });
    const opened = performance.now();
    for (const end = opened + 600; performance.now() < end; await sleep(20)) await session.exists("/");
    expect(session.certainUntil()).toBeLessThanOrEqual(opened + 1_000);
    await session.heartbeat("/");
    expect(session.certainUntil()).toBeGreaterThan(opened + 1_200);
  });

  test("outlives what it is asked for by far when nobody asks anything", async () => {
    const session = await open(zookeeper.port, { timeout: 400 });
    const path = name();
    await session.create(path, bytes(""), { kind: "ephemeral" });
    await sleep(1_500);
    expect(await session.exists(path)).toBeDefined();
    expect(session.lost.aborted).toBe(false);
  });

  test("lives although it is only told things, and asks nothing itself", async () => {
    const [session, other] = [await open(zookeeper.port, { timeout: 400 }), await open(zookeeper.port)];
    const path = name();
    await other.create(path, bytes(""), { kind: "persistent" });
    const heard = async (): Promise<void> => {
      await session.getData(path, () => void heard().catch(() => {}));
    };
    await heard();
    for (const end = performance.now() + 1_200; performance.now() < end; await sleep(10)) {
      await other.setData(path, bytes(""), -1);
    }
    expect(session.lost.aborted).toBe(false);
  });

  test("ends at the server with close, at once", async () => {
    const session = await open(zookeeper.port, { timeout: 20_000 });
    const path = name();
    await session.create(path, bytes(""), { kind: "ephemeral" });
    const inFlight = session.exists(path);
    await session.close();
    await inFlight;
    expect(await zookeeper.tree.paths()).not.toContain(path);
    expect(session.lost.aborted).toBe(true);
    await expect(session.exists("/")).rejects.toMatchObject({ reason: "CLOSED", noEffect: true });
    await expect(session.ready(performance.now() + 1_000)).rejects.toMatchObject({ reason: "CLOSED" });
    await session.close();
  });

  test("opens with the servers that are there", async () => {
    const session = await open([1, 2, zookeeper.port]);
    expect(session.connected).toBe(true);
    expect(session).toBeInstanceOf(Session);
  });
});
