import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { conformance, type Peer, spawnHolder } from "@dlock/conformance";
import { createLocks } from "@dlock/core";
import { createProvider } from "dlock-file";
import { afterAll, expect, test, vi } from "vitest";
import { FileClaim } from "../src/file-claim.js";
import { Ledger } from "../src/ledger.js";

const folder = mkdtempSync(join(tmpdir(), "dlock-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

conformance(test.concurrent, {
  name: "file",
  guarantees: {
    exclusion: "host",
    failover: "none",
    fencing: "best-effort",
    alive: "lease",
    order: "none",
    waiting: "poll",
    modes: ["exclusive"],
  },
  timing: { ttl: 600, slack: 900 },
  async open(): Promise<Peer> {
    return { provider: createProvider({ url: `file:${folder}` }), close: async () => {} };
  },
  spawn: () => spawnHolder(new URL("child/holder.mjs", import.meta.url), folder),
});

test("whoever was stopped before it looked at the clock does not take a hold that was renewed meanwhile", async () => {
  const request = { key: "renewed", owner: "test", ttl: 300, mode: "exclusive", limit: 1, join: false } as const;
  const [holder, late] = ["holder", "late"].map((id) => new FileClaim(folder, { ...request, id })) as [
    FileClaim,
    FileClaim,
  ];
  const taken = performance.now();
  await holder.tryAcquire(taken + 2_000);
  vi.spyOn(Ledger.prototype, "now").mockImplementationOnce(async function (this: Ledger) {
    expect(await holder.renew(60_000)).toBe(true);
    await sleep(400 - (performance.now() - taken));
    return this.now();
  });
  expect(await late.tryAcquire(taken + 5_000)).toBeUndefined();
  await holder.release();
});

test("a configuration names it by its package", async () => {
  await using locks = await createLocks({
    backends: { files: { url: `file:${folder}`, adapter: "dlock-file", require: { exclusion: "host" } } },
  });
  expect(await locks.withLock("k", (lock) => lock.fencingToken)).toBe(1n);
  expect(await locks.withLock("k", (lock) => lock.fencingToken)).toBe(2n);
});
