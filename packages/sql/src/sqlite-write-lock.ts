import { LockBackendError, LockConfigError, monotonicNow, pause } from "@dlock/core";
import type { Connection } from "./knex-client.js";
import { isBusy } from "./sqlite-failure.js";

/** SQLITE_BUSY_SNAPSHOT, as libsql numbers it. */
const snapshot = 517;

/**
 * Makes an SQLite transaction the one that writes, by a statement that changes nothing. By `exec`, since under libsql a
 * prepared statement that met a locked database spoils what follows. Rejects when others write until `end`.
 */
export async function takeWriteLock(connection: Connection, table: string, end: number): Promise<void> {
  for (let ceiling = 2; ; ceiling = Math.min(ceiling * 2, 50)) {
    try {
      connection.exec(`DELETE FROM ${table} WHERE 0`);
      return;
    } catch (error) {
      if (isBehind(error)) {
        const accepted = "a transaction that takes its lock before it reads: SQLite lets this one write no more";
        throw new LockConfigError("trx", "a snapshot", accepted, undefined, error);
      }
      if (!isBusy(error)) throw error;
      if (monotonicNow() >= end) {
        const message = "another connection kept the database locked";
        throw new LockBackendError(message, { retryable: true, noEffect: true, cause: error });
      }
      await pause(ceiling * (0.5 + Math.random() / 2), { background: false });
    }
  }
}

function isBehind(error: unknown): boolean {
  const { code, rawCode } = error as { readonly code?: unknown; readonly rawCode?: unknown };
  return code === "SQLITE_BUSY_SNAPSHOT" || rawCode === snapshot;
}
