import { resolve } from "node:path";
import { checkFields, checkOneOf, checkText, LockConfigError, type ProviderContext } from "@dlock/core";
import { fileSource, type KnexLike, lentSource, type Source } from "./knex-client.js";
import { LeaseProvider, type SqlProvider } from "./lease-provider.js";
import { LeaseTable } from "./lease-table.js";
import { checkTable, defaultTable } from "./schema.js";
import { SqliteDatabase } from "./sqlite-database.js";
import { sqliteDialect } from "./sqlite-dialect.js";
import { type Driver, drivers, loadDriver } from "./sqlite-driver.js";

/** A database file for dlock to open, created when it is missing. A relative path starts at the working directory. */
export interface SqliteFile {
  readonly filename: string;
  /** Default: whichever is installed. */
  readonly driver?: "better-sqlite3" | "libsql" | undefined;
}

export interface SqlOptions {
  readonly strategy: "version";
  /** Default `dlock_leases`. */
  readonly table?: string | undefined;
  /** Hears what the provider reports about itself. Must not throw. */
  readonly emit?: ProviderContext["emit"] | undefined;
}

/** Locks in an SQLite file: one that is opened here, or the one a knex is connected to, on a connection of its own. */
export function sqlProvider(where: KnexLike | SqliteFile, options: SqlOptions): SqlProvider {
  checkFields("options", options, ["strategy", "table", "emit"]);
  checkStrategy(options.strategy);
  return openProvider(sourceOf(where), options);
}

/** `field` is the option that named the file. */
export function sqliteProvider(field: string, file: SqliteFile, options: SqlOptions): SqlProvider {
  return openProvider(sourceOfFile(field, file), options);
}

export function checkStrategy(strategy: unknown): void {
  if (strategy === "version") return;
  throw new LockConfigError("strategy", strategy, '"version", the only strategy of this version of @dlock/sql');
}

function openProvider(source: Source, { table = defaultTable, emit = () => {} }: SqlOptions): SqlProvider {
  const dialect = sqliteDialect(checkTable(table));
  const database = new SqliteDatabase(source, emit);
  return new LeaseProvider(database, new LeaseTable(database, dialect, table));
}

function sourceOf(where: KnexLike | SqliteFile): Source {
  if (typeof where === "function" || (typeof where === "object" && where !== null && "client" in where)) {
    return lentSource(where as KnexLike);
  }
  checkFields("where", where, ["filename", "driver"]);
  return sourceOfFile("filename", where as SqliteFile);
}

function sourceOfFile(field: string, { filename, driver }: SqliteFile): Source {
  if (checkText(field, filename) === ":memory:") {
    throw new LockConfigError(field, filename, "a file: nobody else would see locks in memory");
  }
  // A driver may end the process over it.
  if (filename.includes("\0")) throw new LockConfigError(field, filename, "a path without NUL");
  const wanted: Driver | undefined = driver === undefined ? undefined : checkOneOf("driver", driver, drivers);
  return fileSource(field, resolve(filename), loadDriver(wanted));
}
