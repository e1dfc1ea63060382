import { createServer, type AddressInfo, type Socket } from "node:net";
import { isSelected, startZooKeeper } from "@dlock/testbed";
import { zookeeperProvider } from "@dlock/zookeeper";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Session, ZooKeeperError } from "../src/session.js";
import { zookeeperProvider as providerOfSource } from "../src/zookeeper-provider.js";
import { name, opener, sleep, soon, took, until, win } from "./side.js";

const open = opener((close) => onTestFinished(close));

describe.runIf(isSelected("zookeeper"))("an end", async () => {
  const zookeeper = await startZooKeeper();
  afterAll(() => zookeeper.stop());

  test("by close is told to the holder before anybody else is granted the lock", async () => {
    const way = await zookeeper.link();
    onTestFinished(() => way.close());
    const { claim, provider } = open(way.url, { sessionTimeout: 30_000 });
    const { claim: other } = open(zookeeper.url);
    const key = name();
    const [mine, next] = [claim(key), other(key)];
    await win(mine);
    const served = win(next).then(() => ({ lost: mine.lost.aborted, certainUntil: mine.certainUntil() }));
    await until(async () => (await zookeeper.watches()).size > 0);
    // The servers' answer comes long after they have let the other one in.
    way.delay(300);
    const closed = provider.close();
    expect(await served).toEqual({ lost: true, certainUntil: Number.NEGATIVE_INFINITY });
    await closed;
  });

  test("by a release that failed is asked for again", async () => {
    const provider = providerOfSource({ url: zookeeper.url });
    onTestFinished(() => provider.close());
    const key = name();
    const request = { id: "a", owner: "b", ttl: 30_000, mode: "exclusive", limit: 1, join: true, key } as const;
    const [mine, next] = [provider.claim(request), provider.claim(request)];
    expect(await mine.tryAcquire(soon())).toBeDefined();
    const refused = new ZooKeeperError("OTHER", "delete (-127)", { noEffect: true });
    vi.spyOn(Session.prototype, "delete").mockRejectedValueOnce(refused);
    await expect(mine.release()).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
    await mine.release();
    expect(await next.tryAcquire(soon())).toBeDefined();
    await next.release();
  });
});

test("close does not wait for a server that says nothing", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket.resume()));
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const provider = zookeeperProvider({ url: `zookeeper://127.0.0.1:${port}` });
  const connecting = expect(provider.connect()).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: false });
  await until(() => sockets.length > 0);
  expect(await took(provider.close())).toBeLessThan(1_000);
  await connecting;
  await sleep(50);
  expect(sockets.every(({ destroyed }) => destroyed)).toBe(true);
});
