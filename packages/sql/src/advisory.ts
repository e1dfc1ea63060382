import { createHash } from "node:crypto";
import { type FencingToken, monotonicNow, type Signal } from "@dlock/core";
import type { Counters } from "./counters.js";
import type { Exclusion, Wanted } from "./exclusion.js";
import { type LockSession, waitSlice } from "./lock-session.js";
import { codeOf } from "./server-failure.js";

const lockTimeout = "55P03";

/** The number that is locked on PostgreSQL, where such locks are of one database. Keys that share one wait for each other, and no more. */
export function advisoryNumber(table: string, key: string): string {
  return String(hash(table, key).readBigInt64BE());
}

/** What is locked on MySQL and MariaDB, as an expression: locks are of the whole server there, and names short and without case. */
export const lockName = "CONCAT('dlock:', LEFT(SHA2(CONCAT(DATABASE(), :id), 256), 48))";

/** Its `:id`. */
export function lockId(table: string, key: string): string {
  return hash(table, key).toString("hex");
}

/** By its bytes, whatever collation and version the server has. */
function hash(table: string, key: string): Buffer {
  return createHash("sha256").update(`${table}:${key}`).digest();
}

interface Statements {
  /** `taken`: t or 1. */
  readonly take: string;
  readonly wait: string;
  readonly free: string;
  /** A row if it is held. */
  readonly held: string;
}

const statements: Readonly<Record<"postgres" | "mysql", Statements>> = {
  postgres: {
    take: "SELECT pg_try_advisory_lock(CAST(:id AS bigint)) AS taken",
    wait: "SELECT CAST(pg_advisory_lock(CAST(:id AS bigint)) AS text) = '' AS taken",
    free: "SELECT pg_advisory_unlock(CAST(:id AS bigint))",
    held: `SELECT 1 AS held FROM pg_locks JOIN pg_database ON oid = database AND datname = current_database()
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = CAST(:id AS bigint)`,
  },
  mysql: {
    take: `SELECT GET_LOCK(${lockName}, 0) AS taken`,
    wait: `SELECT GET_LOCK(${lockName}, ${Math.ceil(waitSlice / 1_000)}) AS taken`,
    free: `SELECT RELEASE_LOCK(${lockName})`,
    held: `SELECT 1 AS held FROM DUAL WHERE IS_USED_LOCK(${lockName}) IS NOT NULL`,
  },
};

/** A lock by name or number, of a connection. */
export class Advisory implements Exclusion {
  readonly shared = true;
  readonly #table: string;
  readonly #counters: Counters;
  readonly #sql: Statements;

  constructor(table: string, counters: Counters) {
    this.#table = table;
    this.#counters = counters;
    this.#sql = statements[counters.family];
  }

  idOf(key: string): string {
    return (this.#counters.family === "postgres" ? advisoryNumber : lockId)(this.#table, key);
  }

  take(session: LockSession, wanted: Wanted, deadline: number): Promise<boolean> {
    return this.#says(session, this.#sql.take, wanted, deadline);
  }

  async wait(session: LockSession, wanted: Wanted, signal: Signal): Promise<boolean> {
    const deadline = monotonicNow() + 2 * waitSlice;
    try {
      return await this.#says(session, this.#sql.wait, wanted, deadline, signal);
    } catch (error) {
      if (codeOf(error) !== lockTimeout) throw error;
      // PostgreSQL may have granted it at the very moment at which it gave up.
      await session.run("SELECT pg_advisory_unlock_all()", [], deadline, signal);
      return false;
    }
  }

  draw(session: LockSession, wanted: Wanted, deadline: number): Promise<FencingToken> {
    return this.#counters.drawOn(session, wanted, deadline);
  }

  async free(session: LockSession, { id }: Wanted, deadline: number): Promise<void> {
    await this.#counters.on(session, this.#sql.free, { id }, deadline);
  }

  async isHeld(key: string, until: number): Promise<boolean> {
    return (await this.#counters.query(this.#sql.held, { id: this.idOf(key) }, until)).rows.length > 0;
  }

  async #says(session: LockSession, sql: string, { id }: Wanted, deadline: number, signal?: Signal): Promise<boolean> {
    const [row] = (await this.#counters.on(session, sql, { id }, deadline, signal)).rows;
    return row?.["taken"] === "t" || Number(row?.["taken"]) === 1;
  }
}
