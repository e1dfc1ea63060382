import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isSelected, startRedisSentinel } from "@dlock/testbed";
import type { RedisSentinel } from "@dlock/testbed";

describe.runIf(isSelected("redis"))("a primary with a replica and a sentinel", () => {
  let sentinel: RedisSentinel;
  beforeAll(async () => {
    sentinel = await startRedisSentinel();
  });
  afterAll(() => sentinel.stop());

  const announced = () => {
    const { host, port } = sentinel.sentinel;
    return new Redis({ sentinels: [{ host, port }], name: sentinel.name }).on("error", () => {});
  };

  it("replicates", async () => {
    await sentinel.primary.client.set("key", "value");
    expect(await sentinel.primary.client.wait(1, 2_000)).toBe(1);
    expect(await sentinel.replica.client.get("key")).toBe("value");
    expect(sentinel.url).toBe(`redis+sentinel://127.0.0.1:${sentinel.sentinel.port}/${sentinel.name}`);
  });

  it("forgets, when the replica is promoted, what was acknowledged while the replication was frozen", async () => {
    const client = announced();
    await client.set("kept", "1");
    expect(await client.wait(1, 2_000)).toBe(1);
    sentinel.replication.freeze();
    expect(await client.set("lock", "A", "NX")).toBe("OK");
    const [old, successor] = [sentinel.primary.port, sentinel.replica.port];
    await sentinel.promote();
    client.disconnect();
    const again = announced();
    expect(await again.get("kept")).toBe("1");
    expect(await again.set("lock", "B", "NX")).toBe("OK");
    expect([sentinel.primary.port, sentinel.replica.port]).toEqual([successor, old]);
    again.disconnect();
  });

  it("can promote again when the old primary has come back as a replica", async () => {
    await sentinel.rejoin();
    expect(await sentinel.replica.client.get("lock")).toBe("B");
    const split = sentinel.primary;
    await sentinel.promote("pause");
    await sentinel.primary.client.set("lock", "C");
    // The old primary knows nothing of all this when it goes on.
    await split.server.resume();
    expect(await split.client.get("lock")).toBe("B");
    await sentinel.rejoin();
    await expect.poll(() => split.client.get("lock")).toBe("C");
  });

  it("can be disturbed for one client only", async () => {
    const links = await sentinel.link();
    const [sentinelAddress] = links.addresses.slice(-1);
    const client = new Redis({ sentinels: [{ ...sentinelAddress }], name: sentinel.name, natMap: { ...links.natMap } });
    await client.set("key", "value");
    links.freeze();
    const answer = client.get("key");
    expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])).toBe("silence");
    links.heal();
    expect(await answer).toBe("value");
    client.disconnect();
    await links.close();
  });
});
