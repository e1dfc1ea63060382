import { SmallDisk } from "@dlock/testbed";
import { createRequire } from "node:module";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault } from "../fault.js";
import type { Ground } from "../ground.js";
import { sqlResidue } from "./sql-residue.js";

interface Connection {
  exec(sql: string): void;
  prepare(sql: string): { all(): Readonly<Record<string, unknown>>[] };
  close(): void;
}

// It has types of its own, but none that an ES module could import.
const Libsql = createRequire(import.meta.url)("libsql") as new (file: string) => Connection;

/** A file: there is no server and no network that anything could happen to. */
export async function sqliteGround(workers: number): Promise<Ground> {
  const disk = await SmallDisk.make(8_000_000);
  const folder = disk?.path ?? (await mkdtemp(join(tmpdir(), "dlock-chaos-")));
  const file = join(folder, "locks.db");
  const url = `sqlite://${file}`;
  const open = (): Connection => {
    const connection = new Libsql(file);
    connection.exec("pragma busy_timeout = 1000");
    return connection;
  };
  /** Another program writes, and takes its time. */
  const busy: Fault = {
    name: "busy",
    async strike() {
      const writer = open();
      writer.exec("begin immediate");
      return async () => {
        writer.exec("rollback");
        writer.close();
      };
    },
  };
  return {
    name: "sqlite",
    entries: Array.from({ length: workers }, () => ({ url })),
    ways: [],
    side: { url },
    ttl: 600,
    recovery: 6_000,
    deadWaiter: 0,
    faults: [busy, ...(disk ? [diskFull(disk, open)] : [])],
    residue: async () => {
      const look = open();
      try {
        return await sqlResidue(
          async (sql) => look.prepare(sql).all(),
          "select name from sqlite_schema where type = 'table' and name like 'dlock%'",
          "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
        );
      } finally {
        look.close();
      }
    },
    stop: () => (disk ? disk.remove() : rm(folder, { recursive: true })),
  };
}

function diskFull(disk: SmallDisk, open: () => Connection): Fault {
  return {
    name: "disk-full",
    async strike() {
      const side = open();
      try {
        // What was written to its log before could be written over.
        side.exec("pragma wal_checkpoint(truncate)");
        disk.fill();
        side.exec("create table room (is_left)");
        side.exec("drop table room");
      } catch (error) {
        if (/full/.test(String(error))) return async () => disk.clear();
        disk.clear();
        throw error;
      } finally {
        side.close();
      }
      disk.clear();
      throw new Error("there is room left");
    },
  };
}
