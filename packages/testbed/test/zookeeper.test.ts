import { createHash } from "node:crypto";
import { createClient, CreateMode, State } from "node-zookeeper-client";
import type { Client } from "node-zookeeper-client";
import { afterEach, describe, expect, it, vi } from "vitest";
import { isSelected, openZooKeeper, startZooKeeper } from "@dlock/testbed";
import type { ZooKeeper } from "@dlock/testbed";

const started: ZooKeeper[] = [];
async function zookeeper(config?: Readonly<Record<string, string>>) {
  const one = await startZooKeeper(config);
  started.push(one);
  return one;
}

const clients: Client[] = [];
/** A session of somebody else's. */
async function session(url: string, sessionTimeout = 5_000) {
  const client = createClient(new URL(url).host, { sessionTimeout, retries: 0 });
  const connected = new Promise<void>((resolve) => client.once("connected", resolve));
  client.connect();
  await connected;
  clients.push(client);
  return client;
}

afterEach(async () => {
  for (const client of clients.splice(0)) if (client.getState() === State.SYNC_CONNECTED) client.close();
  await Promise.all(started.splice(0).map((one) => one.stop()));
});

const ephemeral = (client: Client, path: string) =>
  new Promise<void>((resolve, reject) =>
    client.create(path, CreateMode.EPHEMERAL, (error) => (error ? reject(error as Error) : resolve())),
  );

const watchData = (client: Client, path: string) =>
  new Promise<void>((watched, reject) =>
    client.getData(
      path,
      () => {},
      (error) => (error ? reject(error as Error) : watched()),
    ),
  );

describe.runIf(isSelected("zookeeper"))("a ZooKeeper server", () => {
  it("stands alone, on a port and with a tree of its own", async () => {
    const [one, other] = await Promise.all([zookeeper(), zookeeper()]);
    expect(await one.role()).toBe("standalone");
    await one.tree.create("/a/b", "here");
    expect(await one.tree.data("/a/b")).toBe("here");
    expect(await one.tree.paths()).toEqual(["/a", "/a/b"]);
    expect(await other.tree.paths()).toEqual([]);
  });

  it("takes what zoo.cfg and the JVM take, and does not start with odd values: the error shows the end of its log", async () => {
    const one = await zookeeper({ tickTime: "500", "-Dznode.container.checkIntervalMs": "700" });
    const timeout = (await session(one.url, 100)).getSessionTimeout();
    expect(timeout).toBe(1_000);
    expect(await one.server.log()).toContain("checkIntervalMs=700");
    await expect(startZooKeeper({ tickTime: "often" })).rejects.toThrow(
      /zookeeper ended; the end of its log:[^]*often/,
    );
  });

  it("is gone when it is killed, and keeps what it acknowledged when it is restarted with its data", async () => {
    const one = await zookeeper();
    await one.tree.create("/kept");
    await one.server.kill();
    expect(await one.role()).toBe("none");
    await expect(one.tree.paths()).rejects.toThrow();
    await one.server.restart({ keepData: true });
    expect(await one.tree.paths()).toEqual(["/kept"]);
    await one.server.restart({ keepData: false });
    expect(await one.tree.paths()).toEqual([]);
  });

  it("stands still when it is stopped, goes on afterwards, and can be ended while it stands", async () => {
    const one = await zookeeper();
    const answer = vi.fn<(role: string) => void>();
    await one.server.pause();
    const asked = one.say("ruok").then(answer);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(answer).not.toHaveBeenCalled();
    await one.server.resume();
    await asked;
    expect(answer).toHaveBeenCalledWith("imok");
    await one.server.pause();
    await one.stop();
    expect(await one.role()).toBe("none");
  });

  it("tells who watches what, whose nodes are ephemeral, and how its counters grow", async () => {
    const one = await zookeeper();
    const [holder, waiter] = [await session(one.url), await session(one.url)];
    await ephemeral(holder, "/held");
    await ephemeral(holder, "/held too");
    for (const client of [holder, waiter]) await watchData(client, "/held");
    const id = `0x${holder.getSessionId().toString("hex").replace(/^0+/, "")}`;
    expect(await one.ephemerals()).toEqual(new Map([[id, expect.arrayContaining(["/held", "/held too"])]]));
    expect(await one.watches()).toEqual(new Map([["/held", 2]]));
    const counts = await one.count(() => one.tree.remove("/held"));
    expect(counts).toMatchObject({ sum_node_deleted_watch_count: 2, watch_count: -2, ephemerals_count: -1 });
    expect(counts).not.toHaveProperty("uptime");
    expect(await one.watches()).toEqual(new Map());
  });

  it("has a way to it that can be disturbed", async () => {
    const one = await zookeeper();
    const link = await one.link();
    expect(link.url).toBe(`zookeeper://127.0.0.1:${link.port}`);
    const client = await session(link.url, 600);
    await ephemeral(client, "/held");
    link.freeze();
    expect(await one.tree.paths()).toEqual(["/held"]);
    await expect.poll(() => one.tree.paths(), { timeout: 3_000 }).toEqual([]);
  });

  it("shows its tree also where only an owner may look, and removes all below a node", async () => {
    const one = await zookeeper();
    const owner = await session(one.url);
    owner.addAuthInfo("digest", Buffer.from("ann:secret"));
    const digest = createHash("sha1").update("ann:secret").digest("base64");
    const { ACL, Id, Permission } = await import("node-zookeeper-client");
    const only = [new ACL(Permission.ALL, new Id("digest", `ann:${digest}`))];
    for (const path of ["/closed", "/closed/below"])
      await new Promise<void>((resolve, reject) =>
        owner.create(path, Buffer.from("ann's"), only, CreateMode.PERSISTENT, (error) =>
          error ? reject(error as Error) : resolve(),
        ),
      );
    expect(await one.tree.paths()).toEqual(["/closed", "/closed/below"]);
    expect(await one.tree.data("/closed/below")).toBe("ann's");
    await one.tree.setData("/closed/below", "");
    expect(await one.tree.data("/closed/below")).toBe("");
    expect(await one.tree.create("/closed/n-", "", { sequential: true })).toMatch(/^\/closed\/n-\d{10}$/);
    await one.tree.remove("/closed");
    expect(await one.tree.paths()).toEqual([]);
  });

  it("shows its tree while nodes come and go", async () => {
    const one = await zookeeper();
    const client = await session(one.url);
    const coming = Array.from({ length: 50 }, (_, n) => `/n${n}`);
    for (const path of coming) await ephemeral(client, path);
    const looks = Array.from({ length: 10 }, () => one.tree.paths());
    for (const path of coming) {
      await new Promise<void>((resolve, reject) =>
        client.remove(path, (error) => (error ? reject(error as Error) : resolve())),
      );
    }
    for (const paths of await Promise.all(looks)) expect(coming).toEqual(expect.arrayContaining([...paths]));
    expect(await one.tree.paths()).toEqual([]);
  });

  it("can be lent by its URL, and what is lent is left alone", async () => {
    const lender = await zookeeper();
    vi.stubEnv("DLOCK_TEST_ZOOKEEPER_URL", lender.url);
    try {
      const lent = await openZooKeeper();
      expect(lent.server).toBeUndefined();
      await lent.tree.create("/a");
      await lent.stop();
      expect(await lender.tree.paths()).toEqual(["/a"]);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
