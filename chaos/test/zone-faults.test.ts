import { isSelected, startMariadb, type StartedDatabase } from "@dlock/testbed";
import { createConnection } from "mysql2/promise";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { Scene } from "../src/fault.js";
import { changeFaults, type Watched, zoneChanged } from "../src/faults/zone-faults.js";
import { ChangingZone } from "../src/grounds/changing-zone.js";
import { Random } from "../src/random.js";

const scene = { random: new Random(1) } as Scene;
const clock = "select cast(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000 as double) as ms";
const tables = "select table_name as name from information_schema.tables where table_name like 'dlock%'";
const zone = new ChangingZone();
const writers: Promise<void>[] = [];
let over = false;
let database: StartedDatabase;

async function start(name?: string): Promise<Watched> {
  database = await startMariadb({}, { clock: true, zone: name });
  await database.query("create table dlock_leases (id int)");
  return { database, tables, clock };
}

/** Somebody who writes to the table all the time. */
async function write(): Promise<void> {
  const client = await createConnection(database.url.replace(/^mariadb:/, "mysql:"));
  const writing = (async () => {
    for (; !over; await sleep(2)) await client.query("insert into dlock_leases values (1)");
    client.destroy();
  })();
  // Its session may be ended.
  writers.push(writing.catch(() => {}));
}

async function offset(): Promise<number> {
  const [row] = await database.query("select timestampdiff(second, utc_timestamp(), now()) as s");
  return Number(row?.["s"]);
}

afterEach(async () => {
  over = true;
  await Promise.all(writers.splice(0));
  over = false;
  await database.stop();
});
afterAll(() => zone.remove());

// There is no clock, and no zone of ours, in a container.
describe.runIf(isSelected("mariadb") && process.platform === "linux")("a zone that changes", () => {
  test("has an autumn and a spring again and again, when it says", async () => {
    await start(zone.name);
    for (const [change, hours] of [
      ["summer-time-ends", 1],
      ["summer-time-begins", 2],
    ] as const) {
      const due = zone.next(change, Date.now() + 100);
      await sleep(due - 50 - Date.now());
      expect(await offset()).toBe(3_600 * (3 - hours));
      await sleep(due + 20 - Date.now());
      expect(await offset()).toBe(3_600 * hours);
    }
  });

  test("catches statements under way, and sees whether there were any", async () => {
    const [ends, begins] = changeFaults(await start(zone.name), zone);
    expect(await (await ends?.strike(scene))?.()).toBe(false);
    await write();
    for (const one of [begins, ends]) expect(await (await one?.strike(scene))?.()).toBe(true);
    // Nothing stays locked.
    await database.query("insert into dlock_leases values (1)");
  });

  test("has to be the server's own, or nothing happens to it", async () => {
    const [ends] = changeFaults(await start("Asia/Kolkata"), zone);
    await expect(ends?.strike(scene)).rejects.toThrow("the clock did not change");
  });
});

describe.runIf(isSelected("mariadb"))("zone-changed", () => {
  test("gives new sessions another zone, ends some, and puts the old one back", async () => {
    await start();
    await write();
    const strike = (ends: boolean) => {
      const random = Object.assign(new Random(1), { chance: () => ends });
      return zoneChanged(database).strike({ random } as unknown as Scene);
    };
    const global = async () => (await database.query("select @@global.time_zone as zone"))[0]?.["zone"];
    const healNothing = await strike(false);
    expect(await global()).toBe(healNothing?.what);
    expect(await healNothing?.()).toBe(false);
    expect(await global()).toBe("SYSTEM");
    const heal = await strike(true);
    await expect.poll(() => database.sessions()).toEqual([]);
    expect(await heal?.()).toBe(true);
  });
});
