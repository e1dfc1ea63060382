import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Demo } from "./demo.js";

const minute = 60_000;

test(
  "oversells without a lock, sells exactly the stock with one, and refuses a stale token",
  { timeout: minute },
  async () => {
    await using demo = new Demo();
    expect(await demo.status(), demo.errors).toBe(0);

    const {
      "1 no lock": none,
      "2 withLock": locked,
      "3a withLock + pause": late,
      "3b token + pause": fenced,
    } = demo.table();
    expect(Number(none?.["oversold"])).toBeGreaterThan(0);
    expect(locked).toMatchObject({ orders: "100", oversold: "0", left: "0", lost: "0" });
    expect(late).toMatchObject({ orders: "120", oversold: "20", "late write": "sold", lost: "1" });
    expect(fenced).toMatchObject({ orders: "100", oversold: "0", left: "0", "late write": "refused", lost: "1" });
    expect(demo.output.match(/LockLostError: the hold on "stock:round-3[ab]"/g)).toHaveLength(2);
    expect(demo.leftovers()).toEqual([]);
    expect(demo.sellers()).toEqual([]);
  },
);

test("sells exactly the stock under several locks, whichever of them is free", { timeout: minute }, async () => {
  await using demo = new Demo({}, ["--stripes", "7"]);
  expect(await demo.status(), demo.errors).toBe(0);
  expect(demo.table()["2s 7 stripes"]).toMatchObject({ orders: "100", oversold: "0", left: "0", promise: "kept" });
});

test.for([
  ["--stripes", "1"],
  ["--stripes", "x"],
  ["--strips", "5"],
])("refuses %j in one line", async (args) => {
  await using demo = new Demo({}, args);
  expect(await demo.status()).toBe(1);
  expect(demo.errors.trim().split("\n")).toHaveLength(1);
  expect(demo.output).toBe("");
});

test("fails when the locks exclude nobody", { timeout: minute }, async () => {
  const register = fileURLToPath(new URL("unguarded/register.mjs", import.meta.url));
  await using demo = new Demo({ NODE_OPTIONS: `--import ${register}` });
  expect(await demo.status(), demo.errors).toBe(1);

  const { "1 no lock": none, "2 withLock": unguarded } = demo.table();
  expect(none).toMatchObject({ promise: "kept" });
  expect(Number(unguarded?.["oversold"])).toBeGreaterThan(0);
  expect(unguarded).toMatchObject({ promise: "BROKEN" });
});

test.for([
  ["memory:", /inside one process/],
  ["nosuch://host", /nosuch/],
  ["sqlite:/no/such/folder/locks.db", /\/no\/such\/folder/],
] as const)("refuses %s in one line", async ([url, reason]) => {
  await using demo = new Demo({ DLOCK_URL: url });
  expect(await demo.status()).toBe(1);
  expect(demo.errors).toMatch(reason);
  expect(demo.errors.trim().split("\n")).toHaveLength(1);
  expect(demo.output).toBe("");
  expect(demo.leftovers()).toEqual([]);
});

test("ends with everything cleaned up when it is interrupted while a seller is paused", async () => {
  await using demo = new Demo();
  await demo.printed("Round 3a");
  while (!demo.sellers().some(({ state }) => state.startsWith("T"))) await sleep(10);
  demo.kill("SIGINT");
  expect(await demo.status()).toBe(130);
  expect(demo.errors).toBe("flash sale: interrupted\n");
  expect(demo.leftovers()).toEqual([]);
  expect(demo.sellers()).toEqual([]);
});

test("fails with everything cleaned up when a seller dies", async () => {
  await using demo = new Demo();
  await demo.printed("Round 2");
  demo.killSeller();
  expect(await demo.status()).toBe(1);
  expect(demo.errors).toMatch(/^flash sale: seller \d died \(SIGKILL\)\n$/);
  expect(demo.leftovers()).toEqual([]);
  expect(demo.sellers()).toEqual([]);
});
