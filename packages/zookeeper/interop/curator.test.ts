import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSelected, provide, startZooKeeper } from "@dlock/testbed";
import type { StartedZooKeeper } from "@dlock/testbed";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Contender, curator } from "./contender.js";
import type { Section, Side } from "./contender.js";

const chroot = "/shop";
let zookeeper: StartedZooKeeper;
let folder: string;
const contenders: Contender[] = [];

/** As what Curator's lock at the path is used: a mutex, or a side of a read-write lock. */
type Kind = "mutex" | "write" | "read";

/** One that takes the lock that Curator calls `/shop/<name>`, and dlock by its key. */
function contender(
  mode: "count" | "hold",
  side: Side,
  name: string,
  kind: Kind = "mutex",
  ...more: readonly string[]
): Contender {
  const where = {
    curator: [`127.0.0.1:${zookeeper.port}`, `${chroot}/${name}`],
    dlock: [zookeeper.url + chroot, decodeURIComponent(name)],
    "dlock without a line": [`${zookeeper.url}${chroot}?order=none`, decodeURIComponent(name)],
  };
  const one = new Contender(side, [mode, ...where[side], kind, ...more]);
  contenders.push(one);
  return one;
}

/** Processes with some contenders in each, until the counter says `total`; the sections in their order. */
async function contend(
  all: readonly (readonly [Side, string])[],
  total: number,
  { each = 2, rest = 0, kind = "mutex" }: { each?: number; rest?: number; kind?: Kind } = {},
): Promise<readonly Section[]> {
  const counter = join(await mkdtemp(join(folder, "run-")), "counter");
  await writeFile(counter, "0");
  const started = all.map(([side, name]) =>
    contender("count", side, name, kind, counter, String(total), String(each), String(rest)),
  );
  await Promise.all(started.map((one) => one.said("ready")));
  for (const one of started) one.begin();
  await Promise.all(started.map((one) => one.said("done")));
  return started.flatMap((one) => one.sections).toSorted((one, other) => Number(one.from - other.from));
}

const overlaps = (sections: readonly Section[]) =>
  sections.filter(({ from }, n) => sections.slice(0, n).some(({ to }) => to > from));

const found = (sections: readonly Section[]) => sections.map((section) => section.found);
const upTo = (end: number) => Array.from({ length: end }, (_, n) => n);
const share = (sections: readonly Section[], side: Side) => sections.filter((one) => one.side === side).length;

describe.runIf(isSelected("zookeeper"))("JVMs with Apache Curator and processes with dlock, at the same path", () => {
  beforeAll(async () => {
    await provide(curator);
    zookeeper = await startZooKeeper();
    folder = await mkdtemp(join(tmpdir(), "dlock-interop-"));
  }, 600_000);
  afterAll(async () => {
    await zookeeper.stop();
    await rm(folder, { recursive: true });
  });
  afterEach(() => contenders.splice(0).forEach((contender) => contender.kill()));

  it("are in 1 000 critical sections one at a time, and both make progress", async () => {
    const name = "stock";
    const sections = await contend(
      [
        ["curator", name],
        ["dlock", name],
        ["curator", name],
        ["dlock", name],
      ],
      1_000,
    );
    expect(overlaps(sections)).toEqual([]);
    expect(found(sections)).toEqual(upTo(1_000));
    const shares = { curator: share(sections, "curator"), dlock: share(sections, "dlock") };
    process.stdout.write(`of 1000 critical sections, none at a time with another: ${JSON.stringify(shares)}\n`);
    expect(shares.curator).toBeGreaterThan(200);
    expect(shares.dlock).toBeGreaterThan(200);
  });

  it("would be seen if they were in them together", async () => {
    const sections = await contend(
      [
        ["curator", "stock"],
        ["dlock", "another"],
      ],
      100,
    );
    expect(overlaps(sections).length).toBeGreaterThan(0);
    expect(found(sections)).not.toEqual(upTo(100));
  });

  it("mean the same by a key that cannot be the name of a node as it is", async () => {
    const sections = await contend(
      [
        ["curator", "stock%2F42"],
        ["dlock", "stock%2F42"],
      ],
      100,
    );
    expect(overlaps(sections)).toEqual([]);
    expect(found(sections)).toEqual(upTo(100));
  });

  // Those go last: they get it only while nobody stands in line.
  it("exclude those too who use dlock without a line", async () => {
    const name = "stock";
    const all = [
      ["dlock without a line", name],
      ["curator", name],
      ["dlock", name],
    ] as const;
    const sections = await contend(all, 200, { each: 1, rest: 10 });
    expect(overlaps(sections)).toEqual([]);
    expect(found(sections)).toEqual(upTo(200));
    for (const [side] of all) expect(share(sections, side)).toBeGreaterThan(0);
  });

  it("are writers of one read-write lock, one at a time", async () => {
    const name = "paper";
    const all = [
      ["curator", name],
      ["dlock", name],
    ] as const;
    const sections = await contend(all, 200, { kind: "write" });
    expect(overlaps(sections)).toEqual([]);
    expect(found(sections)).toEqual(upTo(200));
    for (const [side] of all) expect(share(sections, side)).toBeGreaterThan(20);
  });

  it.each([
    { holder: ["curator", "read"], waiter: ["dlock", "write"] },
    { holder: ["dlock", "read"], waiter: ["curator", "write"] },
    { holder: ["curator", "write"], waiter: ["dlock", "read"] },
    { holder: ["dlock", "write"], waiter: ["curator", "read"] },
    { holder: ["curator", "read"], waiter: ["dlock", "mutex"] },
    { holder: ["curator", "write"], waiter: ["dlock", "mutex"] },
  ] as const)("wait for readers and writers: $waiter for $holder", async ({ holder, waiter }) => {
    const name = `door-${holder.join("-")}-${waiter.join("-")}`;
    const [first, second] = [
      contender("hold", holder[0], name, holder[1]),
      contender("hold", waiter[0], name, waiter[1]),
    ];
    await Promise.all([first.said("ready"), second.said("ready")]);
    first.begin();
    await first.said("held");
    second.begin();
    const held = second.said("held");
    const longer = new Promise((resolve) => setTimeout(resolve, 1_000, "waits"));
    expect(await Promise.race([held, longer])).toBe("waits");
    first.kill();
    await held;
  });

  it("read together", async () => {
    const readers = (["curator", "dlock", "curator", "dlock"] as const).map((side) =>
      contender("hold", side, "book", "read"),
    );
    await Promise.all(readers.map((one) => one.said("ready")));
    for (const one of readers) {
      one.begin();
      await one.said("held");
    }
  });

  it.each([
    { holder: "curator", waiter: "dlock" },
    { holder: "dlock", waiter: "curator" },
  ] as const)("wait for each other, and take over when the other is killed: $waiter from $holder", async (sides) => {
    const [holder, waiter] = [contender("hold", sides.holder, "door"), contender("hold", sides.waiter, "door")];
    await Promise.all([holder.said("ready"), waiter.said("ready")]);
    holder.begin();
    await holder.said("held");
    waiter.begin();
    const held = waiter.said("held");
    const longer = new Promise((resolve) => setTimeout(resolve, 5_000, "longer than a session"));
    expect(await Promise.race([held, longer])).toBe("longer than a session");
    holder.kill();
    await held;
  });

  it("leave nothing but what is meant to stay", async () => {
    contenders.splice(0).forEach((one) => one.kill());
    await expect.poll(() => zookeeper.tree.paths(), { timeout: 15_000 }).toEqual([chroot, `${chroot}/%offset`]);
  });
});
