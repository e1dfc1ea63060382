import { type FencingToken, LockLostError } from "@dlock/core";

/** Names one row: the value of each column of a unique key. */
export type RowKey = Readonly<Record<string, unknown>>;

/** Somebody else kept changing the row, or changed it under a transaction, which has to be tried again as a whole. */
export class RowConflictError extends Error {
  static {
    this.prototype.name = "RowConflictError";
  }
  readonly code = "ROW_CONFLICT";
  readonly table: string;
  readonly key: RowKey;
  readonly attempts: number;

  constructor(table: string, key: RowKey, attempts: number, cause?: unknown) {
    const tried = attempts === 1 ? "during the update" : `during each of ${attempts} updates`;
    super(`${describe(table, key)} was changed by somebody else ${tried}`, cause === undefined ? undefined : { cause });
    this.table = table;
    this.key = key;
    this.attempts = attempts;
  }
}

/** There is no such row. */
export class RowMissingError extends Error {
  static {
    this.prototype.name = "RowMissingError";
  }
  readonly code = "ROW_MISSING";
  readonly table: string;
  readonly key: RowKey;

  constructor(table: string, key: RowKey) {
    super(`${describe(table, key)} is not there`);
    this.table = table;
    this.key = key;
  }
}

/** A later holder of the lock has written to the row: the hold is over, and this write was refused. */
export class StaleTokenError extends LockLostError {
  static {
    this.prototype.name = "StaleTokenError";
  }
  readonly fencingToken: FencingToken;
  /** What the row says. */
  readonly newerToken: FencingToken;

  constructor(key: string, fencingToken: FencingToken, newerToken: FencingToken) {
    super(key, `is over: its token is ${fencingToken}, and the row was written under ${newerToken} since`);
    this.fencingToken = fencingToken;
    this.newerToken = newerToken;
  }
}

function describe(table: string, key: RowKey): string {
  const columns = Object.entries(key).map(([column, value]) => `${column} ${String(value)}`);
  return `the row of ${table} with ${columns.join(", ")}`;
}
