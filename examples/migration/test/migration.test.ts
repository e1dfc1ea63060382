import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSelected, startRedis, startZooKeeper } from "@dlock/testbed";
import { afterAll, describe, expect, test } from "vitest";
import { Fleet } from "../dist/fleet.js";
import { move } from "../dist/move.js";
import { examine } from "../dist/section.js";
import { only } from "../dist/stage.js";

const sections = Number(process.env["DLOCK_MIGRATION_SECTIONS"] ?? 10_000);
const folder = mkdtempSync(join(tmpdir(), "dlock-migration-"));
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  rmSync(folder, { recursive: true, force: true });
});

/** By name; whatever has a URL can be moved to and from. */
const backends = {
  redis: async () => {
    const redis = await startRedis();
    ends.push(() => redis.stop());
    return redis.url;
  },
  zookeeper: async () => {
    const zookeeper = await startZooKeeper();
    ends.push(() => zookeeper.stop());
    // A killed process stops its keys for that long.
    return `${zookeeper.url}/app?sessionTimeout=3000`;
  },
  sqlite: async () => `sqlite:${join(folder, "locks.db")}`,
};

const pairs = (
  [
    ["redis", "sqlite"],
    ["redis", "zookeeper"],
  ] as const
).filter(([, other]) => other !== "zookeeper" || isSelected(other));

describe.runIf(isSelected("redis"))("a fleet that works", () => {
  test.for(pairs)(
    "moves from %s to %s and back: no sections overlap, and every token is larger than the one before",
    { timeout: 300_000 },
    async ([one, other]) => {
      // SQLite is there to see leases on both sides; the numbers are those of Redis and ZooKeeper.
      const wanted = other === "sqlite" ? sections / 4 : sections;
      const urls = { [one]: await backends[one](), [other]: await backends[other]() };
      const fleet = new Fleet(24);
      ends.push(() => fleet.dismiss());
      for (let place = 0; place < 3; place++) await fleet.add(only(urls, one));
      const steps: string[] = [];
      for (const [from, to] of [
        [one, other],
        [other, one],
      ] as const) {
        const step = (processes: readonly string[]) => void steps.push(processes.join(" "));
        await move(fleet, { backends: urls, from, to, size: 3, sections: wanted, step });
      }
      await fleet.dismiss();
      expect(steps.slice(0, 7)).toEqual([
        `${one} ${one} ${one}`,
        `both ${one} ${one}`,
        `both both ${one}`,
        "both both both",
        `${other} both both`,
        `${other} ${other} both`,
        `${other} ${other} ${other}`,
      ]);
      const findings = examine(fleet.sections);
      expect(findings.sections).toBeGreaterThanOrEqual(2 * wanted);
      expect(findings).toMatchObject({ overlaps: 0, regressions: 0 });
    },
  );

  test("that skips the stage of both is seen to overlap", { timeout: 60_000 }, async () => {
    const urls = { redis: await backends.redis(), sqlite: await backends.sqlite() };
    const fleet = new Fleet(1);
    ends.push(() => fleet.dismiss());
    await fleet.add(only(urls, "redis"));
    await fleet.add(only(urls, "sqlite"));
    await fleet.work(500);
    await fleet.dismiss();
    expect(examine(fleet.sections).overlaps).toBeGreaterThan(0);
  });
});
