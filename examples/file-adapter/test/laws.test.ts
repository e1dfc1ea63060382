import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { conformance, type Peer, spawnHolder } from "@dlock/conformance";
import { createLocks } from "@dlock/core";
import { createProvider } from "dlock-file";
import { afterAll, expect, test } from "vitest";

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

test("a configuration names it by its package", async () => {
  await using locks = await createLocks({
    backends: { files: { url: `file:${folder}`, adapter: "dlock-file", require: { exclusion: "host" } } },
  });
  expect(await locks.withLock("k", (lock) => lock.fencingToken)).toBe(1n);
  expect(await locks.withLock("k", (lock) => lock.fencingToken)).toBe(2n);
});
