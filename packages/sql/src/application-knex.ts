import { LockConfigError } from "@dlock/core";

/** The application's own knex, or a transaction of it, by the members used here: any copy of knex 3 will do. */
export interface ApplicationKnex {
  (table: string): unknown;
  raw(sql: string, bindings: readonly unknown[]): unknown;
  readonly client: unknown;
  readonly isTransaction?: boolean | undefined;
}

/** A query builder, by the members used here. */
export interface Query extends PromiseLike<unknown> {
  where(condition: unknown): Query;
  select(...columns: unknown[]): Query;
  limit(count: number): Query;
  forUpdate(): Query;
  update(changes: object): Query;
}

interface ApplicationClient {
  readonly dialect?: unknown;
  readonly connectionSettings?: { readonly flags?: unknown } | null | undefined;
}

/** Refuses what is no knex, and one that counts its updates in another way than the rest. */
export function checkKnex(knex: ApplicationKnex): void {
  const client = typeof knex === "function" ? (knex.client as ApplicationClient | undefined) : undefined;
  if (client === undefined) throw new LockConfigError("knex", knex, "a knex instance or a transaction of it");
  // MySQL would count rows that changed instead of rows that matched: an update to what is there already looks refused.
  if (/-FOUND_ROWS/i.test(String(client.connectionSettings?.flags))) {
    throw new LockConfigError(
      "knex",
      "-FOUND_ROWS",
      "a connection that counts the rows an UPDATE matched, as by default",
    );
  }
}

export function isMysql(knex: ApplicationKnex): boolean {
  return (knex.client as ApplicationClient).dialect === "mysql";
}
