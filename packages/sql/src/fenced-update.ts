import { checkFields, checkText, type Lock, LockConfigError } from "@dlock/core";
import type { ApplicationKnex } from "./application-knex.js";
import { StaleTokenError } from "./row-errors.js";
import { checkChanges, Row, type RowPlace } from "./row.js";

export interface FencedRow extends RowPlace {
  /** The column that keeps the largest token that ever wrote: BIGINT, null until then. */
  readonly fence: string;
}

/**
 * Writes under the lock's fencing token, unless a later holder has written since: compared in the statement that writes,
 * so that no pause can come between. Rejects with `StaleTokenError`, a `LockLostError`, and `RowMissingError`.
 */
export async function fencedUpdate(
  knex: ApplicationKnex,
  place: FencedRow,
  lock: Pick<Lock, "key" | "fencingToken">,
  changes: object,
): Promise<void> {
  checkFields("place", place, ["table", "key", "fence"]);
  const column = checkText("fence", place.fence);
  const { key, fencingToken } = lock;
  if (typeof fencingToken !== "bigint") throw new LockConfigError("lock", fencingToken, "a lock and its fencing token");
  const row = new Row(knex, place);
  const token = row.integer(fencingToken);
  const notStale = row.raw("(?? IS NULL OR ?? <= ?)", [column, column, token]);
  await row.attempt(undefined, async () => {
    if (await row.update(notStale, { ...checkChanges(changes, column), [column]: token })) return true;
    const found = await row.readAgain(row.raw("CAST(?? AS CHAR(20)) AS fence", [column]));
    // Text, or null.
    const newest = BigInt((found["fence"] as string | null) ?? 0);
    if (newest > fencingToken) throw new StaleTokenError(key, fencingToken, newest);
    // The row came, or its fence went back, between the two statements.
    return undefined;
  });
}
