import { checkFields } from "@dlock/core";
import type { ApplicationKnex } from "./application-knex.js";
import { checkColumns, Row, type RowPlace } from "./row.js";

export interface ConditionalRow extends RowPlace {
  /** What has to be true of the row: columns and their values, or `knex.raw("stock >= ?", [3])`. */
  readonly when: object;
}

/**
 * Writes if the condition is true of the row at that moment, in one statement: `SET stock = stock - 1 … WHERE stock > 0`.
 * false: it was not. Rejects with `RowMissingError` when the row is not there. A value may be `knex.raw("stock - 1")`.
 */
export async function conditionalUpdate(
  knex: ApplicationKnex,
  place: ConditionalRow,
  changes: object,
): Promise<boolean> {
  checkFields("place", place, ["table", "key", "when"]);
  checkColumns("when", place.when, 'columns and their values, or knex.raw("stock > 0")');
  checkColumns("changes", changes, "columns and their values");
  const row = new Row(knex, place);
  return row.attempt(undefined, async () => {
    if (await row.update(place.when, changes)) return true;
    // Refused, unless the key is a mistake, which would look the same for ever.
    await row.readAgain(...Object.keys(row.key));
    return false;
  });
}
