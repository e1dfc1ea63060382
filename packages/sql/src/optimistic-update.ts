import { checkFields, checkText, LockConfigError } from "@dlock/core";
import type { ApplicationKnex } from "./application-knex.js";
import { checkChanges, Row, type RowPlace } from "./row.js";

export interface VersionedRow extends RowPlace {
  /** The column that counts the row's changes: an integer, never null. */
  readonly version: string;
}

export interface OptimisticOptions {
  /** How often to read and compute again after somebody else was faster; default 10, none in a transaction. */
  readonly retries?: number | undefined;
}

/** What a row becomes, from what it is; `undefined` leaves it as it is. Called again after each conflict. */
export type Change<Columns> = (row: Columns) => Awaitable<Partial<Columns> | undefined>;
type Awaitable<Value> = Value | PromiseLike<Value>;

/**
 * Reads the row, computes, and writes only if its version is still the one that was read. Resolves with the row and its
 * changes; rejects with `RowConflictError` when somebody else was faster every time, `RowMissingError` when it is not there.
 */
export async function optimisticUpdate<Columns extends object = Record<string, unknown>>(
  knex: ApplicationKnex,
  place: VersionedRow,
  change: Change<Columns>,
  options: OptimisticOptions = {},
): Promise<Columns> {
  checkFields("place", place, ["table", "key", "version"]);
  checkFields("options", options, ["retries"]);
  const column = checkText("version", place.version);
  const row = new Row(knex, place);
  return row.attempt(options.retries, async () => {
    // The caller says what the columns are.
    const found = (await row.read()) as Columns;
    const version = versionOf(found, column);
    const changes = await change({ ...found });
    if (changes === undefined) return found;
    const next = { ...checkChanges(changes, column), [column]: row.raw("?? + 1", [column]) };
    const written = await row.update(row.raw("?? = ?", [column, row.integer(version)]), next);
    return written ? { ...found, ...changes, [column]: successor(version) } : undefined;
  });
}

type Version = number | string | bigint;

function versionOf(row: object, column: string): Version {
  const version: unknown = (row as Record<string, unknown>)[column];
  const text = typeof version === "string" || typeof version === "bigint" || Number.isSafeInteger(version);
  // A driver that rounds would make every update look like a conflict, as would NULL, which equals nothing.
  if (text && /^-?\d+$/.test(String(version))) return version as Version;
  throw new LockConfigError(
    "version",
    version,
    `a column that counts, never null, and exact in the driver, as ${column}`,
  );
}

/** In the type that the driver has for it. */
function successor(version: Version): Version {
  if (typeof version === "number") return version + 1;
  return typeof version === "bigint" ? version + 1n : String(BigInt(version) + 1n);
}
