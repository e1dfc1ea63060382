import { isSelected, startRedis, type StartedRedis } from "@dlock/testbed";
import { afterEach, describe, expect, test } from "vitest";
import type { Scene } from "../src/fault.js";
import { selectDenied } from "../src/faults/select-denied.js";
import { application } from "../src/grounds/redis-application.js";
import { Random } from "../src/random.js";

const scene = { random: new Random(1) } as Scene;
let redis: StartedRedis;
const clients: StartedRedis["client"][] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await redis.stop();
});

/** A client of the application that comes back when its connection ends, as drivers do: without a word about its database. */
function connect(): StartedRedis["client"] {
  const client = redis.client.duplicate({
    username: application.user,
    password: "secret",
    db: application.database,
    lazyConnect: true,
    retryStrategy: () => 10,
  });
  clients.push(client.on("error", () => {}));
  return client;
}

async function databases(): Promise<readonly string[]> {
  const list = String(await redis.client.call("CLIENT", "LIST")).split("\n");
  return list.filter((line) => line.includes(" user=app ")).flatMap((line) => /\bdb=(\d+)/.exec(line)?.[1] ?? []);
}

describe.runIf(isSelected("redis"))("select-denied", () => {
  test("ends half of the connections, which come back in another database", async () => {
    redis = await startRedis(application.config);
    await Promise.all([connect(), connect(), connect(), connect()].map((client) => client.connect()));
    const heal = await selectDenied([redis.client], application.user).strike(scene);
    await expect.poll(async () => (await databases()).toSorted()).toEqual(["0", "0", "3", "3"]);
    expect(await heal?.()).toBe(true);
    await expect.poll(databases).toEqual(["3", "3", "3", "3"]);
  });

  test("was not felt when nobody came back meanwhile", async () => {
    redis = await startRedis(application.config);
    const heal = await selectDenied([redis.client], application.user).strike(scene);
    expect(await heal?.()).toBe(false);
  });

  test("finds its user after a start without data", async () => {
    redis = await startRedis(application.config);
    await redis.server.restart({ keepData: false });
    await connect().connect();
    await expect.poll(databases).toEqual(["3"]);
  });
});
