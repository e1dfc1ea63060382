import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
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
    modes: ["exclusive", "shared", "semaphore"],
  },
  offers: ["inspect", "forceRelease", "waitTurn", "raise", "downgrade"],
  // Processes come and go while they are measured.
  timing: { ttl: 600, slack: 900 },
  open,
  spawn: () => spawnHolder(new URL("child/holder.mjs", import.meta.url), filename),
  server: {
    // The server is a file: it goes, or a copy of it with all it had stored takes its place, as from a backup.
    async restart({ keepData }) {
      const copy = `${filename}.copy`;
      const side = connect(filename);
      if (keepData) {
        side.exec("PRAGMA wal_checkpoint(TRUNCATE); BEGIN IMMEDIATE");
        copyFileSync(filename, copy);
      }
      for (const part of ["", "-wal", "-shm"]) rmSync(filename + part, { force: true });
      if (keepData) renameSync(copy, filename);
      side.close();
    },
  },
  // No residue: rows of free and of dead keys stay for a day, so that their tokens go on from there.
});
