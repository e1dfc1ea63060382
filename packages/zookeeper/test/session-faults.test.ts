import { execFile } from "node:child_process";
import { type AddressInfo, connect, createServer } from "node:net";
import { promisify } from "node:util";
import { isSelected, Proxy, startZooKeeper, type StartedZooKeeper } from "@dlock/testbed";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Session } from "../src/session.js";
import { bytes, name, opener, sleep, took, until } from "./session-side.js";

const open = opener((close) => onTestFinished(close));
const unsent = { name: "ZooKeeperError", reason: "CONNECTION_LOSS", noEffect: true };
const unknown = { name: "ZooKeeperError", reason: "CONNECTION_LOSS", noEffect: false };
const timeout = 1_000;

describe.runIf(isSelected("zookeeper"))("a session in trouble", () => {
  let zookeeper: StartedZooKeeper;
  beforeAll(async () => void (zookeeper = await startZooKeeper()));
  afterAll(() => zookeeper?.stop());

  const linked = async (): Promise<Proxy> => {
    const link = await Proxy.start(zookeeper.port);
    onTestFinished(() => link.close());
    return link;
  };

  test("is refused at once when there is no server, and says what the socket said", async () => {
    const opening = open([1, 2], {}, 20_000);
    await expect(took(opening)).resolves.toBeLessThan(500);
    await expect(opening).rejects.toMatchObject({ ...unsent, cause: { code: "ECONNREFUSED" } });
  });

  test("is refused by the deadline when a server accepts the connection and says nothing", async () => {
    const link = await linked();
    link.freeze();
    const opening = open(link.port, {}, 300);
    expect(await took(opening)).toBeLessThan(450);
    await expect(opening).rejects.toMatchObject(unsent);
    link.heal();
    await sleep(100);
    const { num_alive_connections: left } = await zookeeper.counters();
    // The look's own.
    expect(left).toBeLessThanOrEqual(2);
  });

  test("turns to the next server when one accepts the connection and says nothing", async () => {
    const link = await linked();
    link.freeze();
    for (let n = 0; n < 3; n++) {
      // However long the session is to last.
      const session = await open([link.port, zookeeper.port], { timeout: 30_000 }, 5_000);
      expect(session.connected).toBe(true);
    }
  }, 30_000);

  test("asks nothing later: what is asked while it is disconnected is rejected at once, and never sent", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 10_000 });
    const path = name();
    await session.create(path, bytes(""), { kind: "persistent" });
    link.cut();
    await until(() => !session.connected);
    const asked = [
      session.create(`${path}/n-`, bytes(""), { kind: "ephemeral-sequential" }),
      session.heartbeat(path),
      session.exists(path),
    ];
    expect(await took(Promise.allSettled(asked))).toBeLessThan(50);
    for (const each of asked) await expect(each).rejects.toMatchObject(unsent);
    link.heal();
    await session.ready(performance.now() + 2_000);
    expect((await session.getChildren(path)).children).toEqual([]);
  });

  test("leaves no call without an answer when its connection breaks: nobody knows what became of it", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 10_000 });
    link.freeze("replies");
    const path = name();
    const asked = [session.create(path, bytes(""), { kind: "persistent" }), session.heartbeat("/")];
    await until(async () => (await zookeeper.tree.paths()).includes(path));
    link.cut();
    for (const each of asked) await expect(each).rejects.toMatchObject(unknown);
    link.heal();
    await session.ready(performance.now() + 2_000);
    expect(await session.exists(path)).toBeDefined();
  });

  test("leaves a server that stands still, before its session could expire", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout });
    const since = performance.now();
    link.freeze();
    await expect(session.exists("/")).rejects.toMatchObject(unknown);
    expect(performance.now() - since).toBeGreaterThan(timeout / 3);
    expect(performance.now() - since).toBeLessThan(timeout);
    expect(session.connected).toBe(false);
    expect(session.lost.aborted).toBe(false);
  });

  test("goes to another server when its own stands still, and keeps a certain session", async () => {
    const [one, two] = [await linked(), await linked()];
    for (let n = 0; n < 2; n++) {
      const session = await open([one.port, two.port], { timeout: 1_500 });
      const path = name();
      await session.create(path, bytes(""), { kind: "ephemeral" });
      session.keep(path, () => {});
      // What the greeting was good for is over then.
      await sleep(1_600);
      const [mine] = [one, two].filter((link) => link.connections > 0);
      mine?.freeze();
      let least = Number.POSITIVE_INFINITY;
      for (const end = performance.now() + 1_500; performance.now() < end; await sleep(10)) {
        least = Math.min(least, session.certainUntil() - performance.now());
      }
      expect(least).toBeGreaterThan(0);
      expect(await session.exists(path)).toMatchObject({ ephemeralOwner: session.id });
      mine?.heal();
      await session.close();
    }
  });

  test("goes on after an answer that broke off in the middle", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 10_000 });
    const path = name();
    await session.create(path, bytes("some data"), { kind: "ephemeral" });
    for (let n = 0; n < 3; n++) {
      link.truncate();
      await expect(session.getData(path)).rejects.toMatchObject(unknown);
      await session.ready(performance.now() + 2_000);
      const { data } = await session.getData(path);
      expect(Buffer.from(data).toString()).toBe("some data");
    }
    expect(session.lost.aborted).toBe(false);
  });

  test("tells watches of what happened while it was disconnected", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 10_000 });
    const path = name();
    await session.create(path, bytes(""), { kind: "persistent" });
    const watch = vi.fn();
    await session.getData(path, watch);
    link.cut();
    await until(() => !session.connected);
    await zookeeper.tree.remove(path);
    expect(watch).not.toHaveBeenCalled();
    link.heal();
    await until(() => watch.mock.calls.length > 0);
    await session.ready(performance.now() + 1_000);
    await sleep(50);
    expect(watch).toHaveBeenCalledOnce();
  });

  test("needs no request for its watches after a reconnect, however many there are", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 10_000 });
    const path = name() + "x".repeat(200);
    await session.create(path, bytes(""), { kind: "persistent" });
    const fired = vi.fn();
    // What 6 000 of them would need is more than a server accepts in one request.
    const paths = Array.from({ length: 6_000 }, (_, n) => `${path}/${"y".repeat(100)}${n}`);
    await Promise.all(paths.map((each) => session.create(each, bytes(""), { kind: "ephemeral" })));
    await Promise.all(paths.map((each) => session.getData(each, fired)));
    link.cut();
    link.heal();
    await until(() => fired.mock.calls.length === paths.length);
    await session.exists("/");
    expect(session.lost.aborted).toBe(false);
  });

  test("that expired is lost for good, and nobody waits for it any more", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 400 });
    const path = name();
    await session.create(path, bytes(""), { kind: "persistent" });
    const [watch, told, gone] = [vi.fn(), vi.fn(), vi.fn()];
    await session.getData(path, watch);
    session.onConnection(told);
    session.keep(path, gone);
    link.freeze();
    const asked = [session.exists("/"), session.create(name(), bytes(""), { kind: "ephemeral" })];
    const settled = Promise.allSettled(asked);
    await sleep(700);
    expect(session.certainUntil()).toBeLessThan(performance.now());
    expect(session.lost.aborted).toBe(false);
    const waiting = expect(session.ready(performance.now() + 5_000)).rejects.toMatchObject({ reason: "SESSION_LOST" });
    link.heal();
    await until(() => session.lost.aborted, 2_000);
    expect(session.lost.reason).toMatchObject({ name: "ZooKeeperError", reason: "SESSION_LOST" });
    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await waiting;
    await expect(session.exists("/")).rejects.toMatchObject({ reason: "SESSION_LOST", noEffect: true });
    expect(watch).toHaveBeenCalledOnce();
    expect(gone).not.toHaveBeenCalled();
    expect(told.mock.calls.at(-1)).toEqual([false]);
    await session.close();
  });

  test("that reaches no server for two timeouts is lost", async () => {
    const link = await linked();
    const session = await open(link.port, { timeout: 300 });
    link.cut();
    await sleep(400);
    expect(session.lost.aborted).toBe(false);
    await until(() => session.lost.aborted, 600);
    expect(session.lost.reason).toMatchObject({ reason: "SESSION_LOST" });
  });

  test("survives a restart of the server that takes longer than its timeout, with its nodes", async () => {
    const session = await open(zookeeper.port, { timeout: 4_000 });
    const path = name();
    await session.create(path, bytes(""), { kind: "ephemeral" });
    await zookeeper.server.kill();
    await sleep(4_050);
    expect(session.certainUntil()).toBeLessThan(performance.now());
    await zookeeper.server.restart({ keepData: true });
    await session.ready(performance.now() + 4_000);
    expect(await session.exists(path)).toMatchObject({ ephemeralOwner: session.id });
  });

  test("keeps its connection when the process stood still for a while that the session outlived", async () => {
    const session = await open(zookeeper.port, { timeout: 2_000 });
    const told = vi.fn();
    session.onConnection(told);
    await session.exists("/");
    // Once with a question under way whose answer is there when it goes on, once without.
    const asked = session.exists("/");
    for (const end = performance.now() + 1_700; performance.now() < end;);
    await asked;
    await sleep(200);
    for (const end = performance.now() + 1_700; performance.now() < end;);
    await sleep(200);
    await session.exists("/");
    expect(told).not.toHaveBeenCalled();
  });

  describe("closes without harm", () => {
    const states: { readonly [state: string]: (link: Proxy) => Promise<Session> } = {
      connected: (link) => open(link.port),
      "whose server stands still": async (link) => {
        const session = await open(link.port);
        link.freeze();
        return session;
      },
      "just disconnected": async (link) => {
        const session = await open(link.port);
        link.cut();
        return session;
      },
      disconnected: async (link) => {
        const session = await open(link.port);
        link.cut();
        await until(() => !session.connected);
        return session;
      },
      "whose new connection is not greeted": async (link) => {
        const session = await open(link.port);
        link.cut();
        await until(() => !session.connected);
        link.freeze();
        link.heal();
        link.freeze();
        await until(() => link.connections > 0);
        return session;
      },
      "with calls under way": async (link) => {
        const session = await open(link.port);
        for (let n = 0; n < 100; n++) session.exists("/").catch(() => {});
        return session;
      },
      expired: async (link) => {
        const session = await open(link.port, { timeout: 200 });
        link.freeze();
        await sleep(400);
        link.heal();
        await until(() => session.lost.aborted);
        return session;
      },
    };
    for (const [state, reach] of Object.entries(states)) {
      test(state, async () => {
        const link = await linked();
        const session = await reach(link);
        // Only a server that could answer is given a second for it.
        const patience = state === "whose server stands still" ? 2_000 : 1_000;
        expect(await took(Promise.all([session.close(), session.close()]))).toBeLessThan(patience);
        expect(session.lost.aborted).toBe(true);
        link.heal();
        await sleep(100);
        expect(link.connections).toBe(0);
        await expect(session.exists("/")).rejects.toBeDefined();
      });
    }

    test("while it is being opened, at any moment", async () => {
      for (let n = 0; n < 30; n++) {
        const link = await linked();
        if (n % 2 === 1) link.delay(2);
        await Session.open(
          { servers: [{ host: "127.0.0.1", port: link.port }], timeout },
          performance.now() + n / 2,
        ).then(
          (session) => session.close(),
          () => {},
        );
        await sleep(10);
        await until(() => link.connections === 0);
      }
    });
  });

  describe("with a peer of its own making", () => {
    /** Greets with each of the session ids in turn, the last one from then on, and answers everything with `code`; `after` ms later it hangs up. */
    async function greeter(
      ids: readonly number[],
      after: number,
      code?: number,
    ): Promise<{ port: number; greeted: () => number }> {
      let greeted = 0;
      const server = createServer((socket) => {
        socket.on("error", () => {});
        socket.once("data", () => {
          const greeting = Buffer.alloc(4 + 37);
          greeting.writeInt32BE(37, 0);
          greeting.writeInt32BE(timeout, 8);
          greeting.writeInt32BE(ids[Math.min(greeted, ids.length - 1)] ?? 0, 16);
          greeting.writeInt32BE(16, 20);
          greeted += 1;
          socket.write(greeting);
          socket.on("data", (request) => {
            if (code === undefined) return;
            const answer = Buffer.alloc(4 + 16);
            answer.writeInt32BE(16, 0);
            answer.writeInt32BE(request.readInt32BE(4), 4);
            answer.writeInt32BE(code, 16);
            socket.write(answer);
          });
          setTimeout(() => socket.destroy(), after);
        });
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void server.close());
      return { port: (server.address() as AddressInfo).port, greeted: () => greeted };
    }

    test("is not asked in a busy loop by it, when it hangs up after every greeting", async () => {
      const peer = await greeter([7], 0);
      await open(peer.port);
      await sleep(1_000);
      expect(peer.greeted()).toBeGreaterThan(5);
      expect(peer.greeted()).toBeLessThan(100);
    });

    test("goes on when it answers with a code that no server had when the client was written", async () => {
      const peer = await greeter([7], 5_000, -129);
      const session = await open(peer.port);
      // By itself it asks too; one at a time here, as the peer looks at the first request of what it gets.
      await sleep(5);
      const refused = {
        name: "ZooKeeperError",
        reason: "OTHER",
        noEffect: true,
        message: expect.stringContaining("-129"),
      };
      await expect(session.exists("/a")).rejects.toMatchObject(refused);
      await expect(session.create("/a", bytes(""), { kind: "persistent" })).rejects.toMatchObject(refused);
      expect(session.connected).toBe(true);
      expect(peer.greeted()).toBe(1);
    });

    test("takes no other session for its own", async () => {
      const peer = await greeter([7, 8], 100);
      const session = await open(peer.port);
      expect(session.id).toBe(7n);
      const told = vi.fn();
      session.onConnection(told);
      await until(() => session.lost.aborted, 3 * timeout);
      expect(told).not.toHaveBeenCalledWith(true);
      expect(session.id).toBe(7n);
    });
  });

  test("sends its credentials once, also after attempts that got no greeting", async () => {
    let said = "";
    let sound = false;
    const server = createServer((client) => {
      const on = connect(zookeeper.port, "127.0.0.1");
      client.on("error", () => {}).on("close", () => on.destroy());
      on.on("error", () => {}).on("close", () => client.destroySoon());
      if (!sound) return void client.once("data", () => client.destroy());
      said = "";
      client.on("data", (chunk) => (said += chunk.toString("latin1"))).pipe(on);
      on.pipe(client);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const link = await Proxy.start(port);
    onTestFinished(() => link.close());
    sound = true;
    const session = await open(link.port, { auth: [{ scheme: "digest", auth: "me:secret" }], timeout: 5_000 });
    sound = false;
    link.cut();
    link.heal();
    await sleep(500);
    sound = true;
    await session.ready(performance.now() + 2_000);
    await session.exists("/");
    expect(said.split("me:secret").length - 1).toBe(1);
  });

  test("a process ends by itself when its sessions are closed, or were never opened", async () => {
    const program = `
      import { Session } from ${JSON.stringify(new URL("../dist/session.js", import.meta.url).href)};
      const servers = (port) => [{ host: "127.0.0.1", port }];
      const session = await Session.open({ servers: servers(${zookeeper.port}), timeout: 10_000 }, performance.now() + 5_000);
      session.keep("/", () => {});
      await session.getData("/", () => {});
      await session.close();
      await Session.open({ servers: servers(1), timeout: 10_000 }, performance.now() + 5_000).catch(() => {});
      console.log("done", performance.now());`;
    const child = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { timeout: 10_000 });
    const since = performance.now();
    expect((await child).stdout).toContain("done");
    expect(performance.now() - since).toBeLessThan(5_000);
  });
});
