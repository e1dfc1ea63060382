import { backoff, checkText, LockConfigError, pause } from "@dlock/core";
import { type ApplicationKnex, checkKnex, isMysql, type Query } from "./application-knex.js";
import { checkReach } from "./row-reach.js";
import { RowConflictError, type RowKey, RowMissingError } from "./row-errors.js";

/** A row of the application's. */
export interface RowPlace {
  readonly table: string;
  /** One row's columns and their values, `{ id: 42 }`. */
  readonly key: RowKey;
}

// SQLSTATE or name and number: serialization failure, deadlock, "record has changed since last read", a snapshot that is no longer the last.
const conflicts: readonly unknown[] = ["40001", "40P01", "SQLITE_BUSY_SNAPSHOT", 1213, 1020, 517];
const longestPause = 250;

/** One row of the application's, read and written through its own knex. */
export class Row {
  readonly #knex: ApplicationKnex;
  readonly table: string;
  readonly key: RowKey;

  constructor(knex: ApplicationKnex, { table, key }: RowPlace) {
    checkKnex(knex);
    this.#knex = knex;
    this.table = checkText("table", table);
    // Without a condition every row of the table would match.
    checkColumns("key", key, "the columns that name one row, and their values");
    this.key = key;
  }

  raw(sql: string, bindings: readonly unknown[]): unknown {
    return this.#knex.raw(sql, bindings);
  }

  /** A whole number of 64 bits, exactly: drivers round, and MySQL compares text with numbers as fractions. */
  integer(value: bigint | number | string): unknown {
    return this.raw(`CAST(? AS ${isMysql(this.#knex) ? "SIGNED" : "BIGINT"})`, [String(value)]);
  }

  /** As it is committed now, or as the transaction sees it. Rejects with `RowMissingError`. */
  async read(...columns: unknown[]): Promise<Readonly<Record<string, unknown>>> {
    return this.#only(
      await this.#query()
        .select(...columns)
        .limit(2),
    );
  }

  /** As the update before saw it: MySQL updates what is committed, but goes on reading the transaction's snapshot. */
  async readAgain(...columns: unknown[]): Promise<Readonly<Record<string, unknown>>> {
    const query = this.#query()
      .select(...columns)
      .limit(2);
    const behind = this.#knex.isTransaction && isMysql(this.#knex);
    return this.#only(await (behind ? query.forUpdate() : query));
  }

  /** One statement. false: the row is not there, or does not meet the condition. */
  async update(condition: unknown, changes: object): Promise<boolean> {
    const count = await this.#query().where(condition).update(changes);
    if (count === 0 || count === 1) return count === 1;
    throw typeof count === "number"
      ? this.#ambiguous()
      : new LockConfigError("knex", "its postProcessResponse", "one that leaves the count of an update alone");
  }

  /** Until an attempt has an outcome: `undefined` is a conflict, as is what the database calls one. */
  async attempt<Outcome>(retries: number | undefined, once: () => Promise<Outcome | undefined>): Promise<Outcome> {
    const limit = this.#attempts(retries);
    await checkReach(this.#knex, this.table);
    for (let attempts = 1; ; attempts += 1) {
      let cause: unknown;
      try {
        const outcome = await once();
        if (outcome !== undefined) return outcome;
      } catch (error) {
        if (!isConflict(error)) throw error;
        cause = error;
      }
      if (attempts >= limit) throw new RowConflictError(this.table, this.key, attempts, cause);
      await pause(backoff(attempts - 1, longestPause), { background: false });
    }
  }

  /** In a transaction there is only one: it may go on seeing the row as it was, and after an error it is over anyway. */
  #attempts(retries: number | undefined): number {
    if (retries !== undefined && !(Number.isInteger(retries) && retries >= 0)) {
      throw new LockConfigError("retries", retries, "a whole number, 0 or more");
    }
    if (!this.#knex.isTransaction) return 1 + (retries ?? 10);
    if (retries === undefined || retries === 0) return 1;
    throw new LockConfigError("retries", retries, "0 in a transaction, which has to be tried again as a whole");
  }

  #query(): Query {
    // Any copy of knex builds queries that have these members.
    return (this.#knex(this.table) as Query).where(this.key);
  }

  #only(rows: unknown): Readonly<Record<string, unknown>> {
    const [row, other] = rows as readonly Readonly<Record<string, unknown>>[];
    if (row === undefined) throw new RowMissingError(this.table, this.key);
    if (other !== undefined) throw this.#ambiguous();
    return row;
  }

  #ambiguous(): LockConfigError {
    return new LockConfigError("key", Object.keys(this.key).join(", "), "columns that name one row, not several");
  }
}

function isConflict(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { code, errno, rawCode } = error as { code?: unknown; errno?: unknown; rawCode?: unknown };
  return [code, errno, rawCode].some((name) => conflicts.includes(name));
}

/** Changes to other columns than the one that is ours to count. */
export function checkChanges(changes: unknown, column: string): object {
  const accepted = `columns and their values, without ${column}`;
  if (typeof changes !== "object" || changes === null) throw new LockConfigError("changes", changes, accepted);
  if (column in changes) throw new LockConfigError("changes", column, accepted);
  return changes;
}

/** An object with at least one member. */
export function checkColumns(field: string, columns: unknown, accepted: string): void {
  if (typeof columns === "object" && columns !== null && Object.keys(columns).length > 0) return;
  throw new LockConfigError(field, columns, accepted);
}
