import { checkOneOf } from "@dlock/core";
import type { VersionDialect } from "./dialect.js";
import type { HolderDialect } from "./holder-dialect.js";
import { putSchema, quoteName } from "./in-schema.js";
import { lockRows } from "./lock-row.js";
import { mysqlDialect } from "./mysql-dialect.js";
import { mysqlHolders } from "./mysql-holders.js";
import { defaultTable, type Strategy, strategyNames } from "./options.js";
import { postgresDialect } from "./postgres-dialect.js";
import { postgresHolders } from "./postgres-holders.js";
import { readerRows } from "./reader-table.js";
import { sqliteDialect } from "./sqlite-dialect.js";
import { sqliteHolders } from "./sqlite-holders.js";
import { checkSchema } from "./schema-name.js";
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

/**
 * The SQL that creates the tables of a strategy, for those who keep their schema in migrations of their own. Harmless when repeated.
 * `home` is the schema of the tables, on MySQL and MariaDB their database; default: wherever the SQL is run.
 */
export function schema(
  dialect: SqlDialect,
  table: string = defaultTable,
  strategy: Strategy = "version",
  home?: string,
): string {
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
  return `${putSchema(statements.join(";\n\n"), quoted(dialect, home))};\n`;
}

function quoted(dialect: SqlDialect, home: string | undefined): string | undefined {
  if (home === undefined) return undefined;
  if (dialect === "sqlite") return checkSchema("sqlite", home);
  const family = dialect === "postgres" ? "postgres" : "mysql";
  return quoteName(family, checkSchema(family, home));
}
