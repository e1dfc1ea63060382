import { checkOneOf, LockConfigError } from "@dlock/core";
import { sqliteDialect } from "./sqlite-dialect.js";

export type SqlDialect = "sqlite";

export const defaultTable = "dlock_leases";

/** The SQL that creates the lease table, for those who keep their schema in migrations of their own. Harmless when repeated. */
export function schema(dialect: SqlDialect, table: string = defaultTable): string {
  checkOneOf("dialect", dialect, ["sqlite"]);
  return `${sqliteDialect(checkTable(table)).schema.join(";\n\n")};\n`;
}

export function checkTable(table: unknown): string {
  if (typeof table === "string" && /^(?!sqlite_)[a-z_]\w{0,49}$/i.test(table)) return table;
  throw new LockConfigError(
    "table",
    table,
    "a name of at most 50 letters, digits and underscores that is not SQLite's own",
  );
}
