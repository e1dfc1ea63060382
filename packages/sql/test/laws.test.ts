import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { conformance, type Peer, spawnHolder } from "@dlock/conformance";
import { sqlProvider } from "@dlock/sql";
import { afterAll, test } from "vitest";
import { connect } from "./store.js";

const directory = mkdtempSync(join(tmpdir(), "dlock-sql-laws-"));
const filename = join(directory, "locks.db");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function open(): Promise<Peer> {
  const provider = sqlProvider({ filename }, { strategy: "version" });
  return { provider, close: () => provider.close() };
}

conformance(test.concurrent, {
  name: "sqlite",
  guarantees: {
    exclusion: "host",
    failover: "none",
    fencing: "unless-data-and-clock-lost",
    alive: "lease",
    order: "none",
    waiting: "poll",
    modes: ["exclusive"],
  },
  offers: ["inspect", "forceRelease", "waitTurn"],
  open,
  spawn: () => spawnHolder(new URL("child/holder.mjs", import.meta.url), filename),
  server: {
    // The server is a file: what it had stored survives everybody, unless the file goes.
    async restart({ keepData }) {
      if (!keepData) for (const part of ["", "-wal", "-shm"]) rmSync(filename + part, { force: true });
    },
  },
  async residue() {
    const side = connect(filename);
    // Rows of free keys stay for a day, so that their tokens go on from there.
    const held = side
      .prepare("SELECT key FROM dlock_leases WHERE expires > unixepoch('subsec') * 1000 AND key <> ''")
      .all();
    side.close();
    return held.map((row) => (row as { key: string }).key);
  },
});
