import { createHash } from "node:crypto";
import {
  type FencingToken,
  type Guarantees,
  type HolderStatus,
  type LockMode,
  monotonicNow,
  type Signal,
} from "@dlock/core";
import type { Counters } from "./counters.js";
import type { Exclusion, Wanted } from "./exclusion.js";
import { inSchema } from "./in-schema.js";
import { type LockSession, waitSlice } from "./lock-session.js";
import type { ReaderTable } from "./reader-table.js";
import { codeOf } from "./server-failure.js";

const lockTimeout = "55P03";

/** The number that is locked on PostgreSQL, where such locks are of one database. Keys that share one wait for each other, and no more. */
export function advisoryNumber(table: string, key: string): string {
  return String(hash(table, key).readBigInt64BE());
}

/** What is locked on MySQL and MariaDB, as an expression: locks are of the whole server there, and names short and without case. */
export const lockName = "CONCAT('dlock:', LEFT(SHA2(CONCAT(:schema, :id), 256), 48))";

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
}

const number = "CAST(:id AS bigint)";

/** PostgreSQL: the sessions that have such a lock in a mode, and a condition on them. */
const granted = (id: string, mode: "ExclusiveLock" | "ShareLock") => `pg_catalog.pg_locks
JOIN pg_catalog.pg_database ON pg_database.oid = pg_locks.database AND datname = pg_catalog.current_database()
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND mode = '${mode}'
AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = ${id}`;

/** PostgreSQL: a row if somebody has it alone. */
export function advisoryHeld(id: string): string {
  return `SELECT 1 AS held FROM ${granted(id, "ExclusiveLock")}`;
}

const waitToShare = `CAST(pg_catalog.pg_advisory_lock_shared(${number}) AS text) = ''`;

const postgres: Readonly<Record<LockMode, Statements>> = {
  exclusive: {
    take: `SELECT pg_catalog.pg_try_advisory_lock(${number}) AS taken`,
    wait: `SELECT CAST(pg_catalog.pg_advisory_lock(${number}) AS text) = '' AS taken`,
    free: `SELECT pg_catalog.pg_advisory_unlock(${number})`,
  },
  shared: {
    take: `SELECT pg_catalog.pg_try_advisory_lock_shared(${number}) AS taken`,
    wait: `SELECT ${waitToShare} AS taken`,
    free: `SELECT pg_catalog.pg_advisory_unlock_shared(${number})`,
  },
};

// The locks of one session do not exclude each other. This form is granted at once although it could wait; the one that
// does not wait is refused while a writer waits.
const downgrade = `SELECT CASE WHEN ${waitToShare} THEN pg_catalog.pg_advisory_unlock(${number}) END AS taken`;

const mysql: Statements = {
  take: `SELECT GET_LOCK(${lockName}, 0) AS taken`,
  wait: `SELECT GET_LOCK(${lockName}, ${Math.ceil(waitSlice / 1_000)}) AS taken`,
  free: `SELECT RELEASE_LOCK(${lockName})`,
};

/** A lock by number, of a connection to PostgreSQL; by name on MySQL and MariaDB, who have no shared one. */
export class Advisory implements Exclusion {
  readonly roomy = true;
  readonly modes: Guarantees["modes"];
  readonly downgrade: Exclusion["downgrade"];
  readonly #table: string;
  readonly #counters: Counters;
  readonly #readers: ReaderTable | undefined;

  /** `readers`: on PostgreSQL. */
  constructor(table: string, counters: Counters, readers: ReaderTable | undefined) {
    this.#table = table;
    this.#counters = counters;
    this.#readers = readers;
    this.modes = readers === undefined ? ["exclusive"] : ["exclusive", "shared"];
    if (readers !== undefined) {
      this.downgrade = async (session, wanted, token, deadline) => {
        await this.#enlist(session, wanted, token, deadline);
        try {
          await this.#says(session, downgrade, wanted, deadline);
        } catch (error) {
          // Nobody knows which of the two locks it has now.
          session.destroy();
          throw error;
        }
      };
    }
  }

  idOf(key: string): string {
    return (this.#counters.family === "postgres" ? advisoryNumber : lockId)(this.#table, key);
  }

  take(session: LockSession, wanted: Wanted, deadline: number): Promise<boolean> {
    return this.#says(session, this.#sql(wanted).take, wanted, deadline);
  }

  async wait(session: LockSession, wanted: Wanted, signal: Signal): Promise<boolean> {
    const deadline = monotonicNow() + 2 * waitSlice;
    try {
      return await this.#says(session, this.#sql(wanted).wait, wanted, deadline, signal);
    } catch (error) {
      if (codeOf(error) !== lockTimeout) throw error;
      // PostgreSQL may have granted it at the very moment at which it gave up.
      await session.run("SELECT pg_catalog.pg_advisory_unlock_all()", [], deadline, signal);
      return false;
    }
  }

  async draw(session: LockSession, wanted: Wanted, deadline: number): Promise<FencingToken> {
    if (wanted.mode === "exclusive") return this.#counters.drawOn(session, wanted, deadline);
    const token = await this.#counters.draw(wanted, deadline);
    await this.#enlist(session, wanted, token, deadline);
    await session.run("SELECT 1", [], deadline);
    return token;
  }

  async free(session: LockSession, wanted: Wanted, deadline: number): Promise<void> {
    await this.#counters.on(session, this.#sql(wanted).free, { id: wanted.id }, deadline);
    if (wanted.mode === "shared") await this.#readers?.remove(wanted);
  }

  async isHeldAlone(key: string, until: number): Promise<boolean> {
    const held =
      this.#counters.family === "postgres"
        ? advisoryHeld(number)
        : `SELECT 1 AS held FROM DUAL WHERE IS_USED_LOCK(${lockName}) IS NOT NULL`;
    return (await this.#counters.query(held, { id: this.idOf(key) }, until)).rows.length > 0;
  }

  /** One session has at most one lock of an id, so that what earlier ones left there under its number is older. */
  async readers(key: string, until: number): Promise<readonly HolderStatus[]> {
    const sql = `SELECT DISTINCT ON (backend) owner, token FROM ${inSchema}"${this.#table}_readers" WHERE key = :key
AND backend IN (SELECT pid FROM ${granted(number, "ShareLock")}) ORDER BY backend, token DESC`;
    return (await this.#readers?.show(sql, key, this.idOf(key), until)) ?? [];
  }

  async #enlist(session: LockSession, wanted: Wanted, token: FencingToken, deadline: number): Promise<void> {
    const { name } = await session.opened(deadline);
    await this.#readers?.add(wanted, token, deadline, name.backend);
  }

  #sql({ mode }: Wanted): Statements {
    return this.#counters.family === "postgres" ? postgres[mode] : mysql;
  }

  async #says(session: LockSession, sql: string, { id }: Wanted, deadline: number, signal?: Signal): Promise<boolean> {
    const [row] = (await this.#counters.on(session, sql, { id }, deadline, signal)).rows;
    return row?.["taken"] === "t" || Number(row?.["taken"]) === 1;
  }
}
