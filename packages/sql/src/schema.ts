import { checkOneOf } from "@dlock/core";
import type { VersionDialect } from "./dialect.js";
import { lockRows } from "./lock-row.js";
import { mysqlDialect } from "./mysql-dialect.js";
import { defaultTable, type Strategy, strategyNames } from "./options.js";
import { postgresDialect } from "./postgres-dialect.js";
import { sqliteDialect } from "./sqlite-dialect.js";
import { checkTable } from "./table-name.js";

export type SqlDialect = "sqlite" | "postgres" | "mysql" | "mariadb";

const dialects: Readonly<Record<SqlDialect, (table: string) => VersionDialect>> = {
  sqlite: sqliteDialect,
  postgres: postgresDialect,
  mysql: mysqlDialect,
  mariadb: mysqlDialect,
};

/** The SQL that creates the tables of a strategy, for those who keep their schema in migrations of their own. Harmless when repeated. */
export function schema(dialect: SqlDialect, table: string = defaultTable, strategy: Strategy = "version"): string {
  checkOneOf("dialect", dialect, Object.keys(dialects));
  checkOneOf("strategy", strategy, dialect === "sqlite" ? ["version"] : strategyNames);
  const statements = [...dialects[dialect](checkTable(table)).schema];
  // Tokens are counted in the table of leases, whatever the strategy.
  if (strategy === "for-update")
    statements.push(...lockRows(dialect === "postgres" ? "postgres" : "mysql", table).schema);
  return `${statements.join(";\n\n")};\n`;
}
