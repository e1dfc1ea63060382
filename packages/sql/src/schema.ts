import { checkOneOf } from "@dlock/core";
import type { VersionDialect } from "./dialect.js";
import type { HolderDialect } from "./holder-dialect.js";
import { lockRows } from "./lock-row.js";
import { mysqlDialect } from "./mysql-dialect.js";
import { mysqlHolders } from "./mysql-holders.js";
import { defaultTable, type Strategy, strategyNames } from "./options.js";
import { postgresDialect } from "./postgres-dialect.js";
import { postgresHolders } from "./postgres-holders.js";
import { readerRows } from "./reader-table.js";
import { sqliteDialect } from "./sqlite-dialect.js";
import { sqliteHolders } from "./sqlite-holders.js";
import { checkTable } from "./table-name.js";

export type SqlDialect = "sqlite" | "postgres" | "mysql" | "mariadb";

const dialects: Readonly<Record<SqlDialect, (table: string) => VersionDialect>> = {
  sqlite: sqliteDialect,
  postgres: postgresDialect,
  mysql: mysqlDialect,
  mariadb: mysqlDialect,
};
const holders: Readonly<Record<SqlDialect, (table: string) => HolderDialect>> = {
  sqlite: sqliteHolders,
  postgres: postgresHolders,
  mysql: mysqlHolders,
  mariadb: mysqlHolders,
};

/** The SQL that creates the tables of a strategy, for those who keep their schema in migrations of their own. Harmless when repeated. */
export function schema(dialect: SqlDialect, table: string = defaultTable, strategy: Strategy = "version"): string {
  checkOneOf("dialect", dialect, Object.keys(dialects));
  checkOneOf("strategy", strategy, dialect === "sqlite" ? ["version"] : strategyNames);
  const statements = [...dialects[dialect](checkTable(table)).schema];
  if (strategy === "version") statements.push(...holders[dialect](table).schema);
  // Tokens are counted in the table of leases, whatever the strategy.
  const family = dialect === "postgres" ? "postgres" : "mysql";
  if (strategy === "for-update") statements.push(...lockRows(family, table).schema);
  // Where there are readers, people want to see who they are.
  if (strategy === "for-update" || (strategy === "advisory" && family === "postgres"))
    statements.push(...readerRows(family, table).schema);
  return `${statements.join(";\n\n")};\n`;
}
