import { resolve } from "node:path";
import {
  checkFields,
  checkOneOf,
  checkText,
  type Claim,
  type ClaimRequest,
  type Guarantees,
  type LeaseClaim,
  LockConfigError,
  type LockProvider,
  type LockStatus,
} from "@dlock/core";
import { Connector } from "./connector.js";
import { fileSource, type KnexLike, lentSource, type Source } from "./knex-client.js";
import { galeraNotice } from "./galera.js";
import { HolderTable } from "./holder-table.js";
import { LeaseProvider } from "./lease-provider.js";
import { LeaseTable } from "./lease-table.js";
import { settingsOf, type SqlOptions, sqliteSettingsOf } from "./options.js";
import { knexSource, type ServerSource, urlSource } from "./server-source.js";
import { SqliteDatabase } from "./sqlite-database.js";
import { sqliteDialect } from "./sqlite-dialect.js";
import { sqliteHolders } from "./sqlite-holders.js";
import { type Driver, drivers, loadDriver } from "./sqlite-driver.js";
import { strategies } from "./strategies.js";
import { TableLocation } from "./table-location.js";
import { parseUrl } from "./url.js";

/** A database file for dlock to open, created when it is missing. A relative path starts at the working directory. */
export interface SqliteFile {
  readonly filename: string;
  /** Default: whichever is installed. */
  readonly driver?: "better-sqlite3" | "libsql" | undefined;
}

/** A server for dlock to connect to. */
export interface SqlServer {
  /** `postgres:`, `postgresql:`, `mysql:` or `mariadb:`, with a database and without options of dlock's. */
  readonly url: string;
}

export interface SqlProvider extends LockProvider {
  /** Creates the tables, which the first call would do anyway. Harmless when repeated, also by several processes at once. */
  createSchema(): Promise<void>;
  claim(request: ClaimRequest): Claim;
  inspect(key: string): Promise<LockStatus>;
  connect(): Promise<void>;
  close(): Promise<void>;
}

/** Of the strategy `version`. */
export interface VersionProvider extends SqlProvider {
  claim(request: ClaimRequest): LeaseClaim;
  forceRelease(key: string): Promise<boolean>;
}

/** Locks in a database: one that is opened here, or the one a knex is connected to, on connections of their own. */
export function sqlProvider(
  where: KnexLike | SqliteFile | SqlServer,
  options?: SqlOptions & { readonly strategy?: "version" | undefined },
): VersionProvider;
export function sqlProvider(where: KnexLike | SqliteFile | SqlServer, options?: SqlOptions): SqlProvider;
export function sqlProvider(where: KnexLike | SqliteFile | SqlServer, options: SqlOptions = {}): SqlProvider {
  if (isKnex(where)) {
    const driverName = (where.client as { readonly driverName?: unknown } | undefined)?.driverName;
    if (driverName === "pg" || driverName === "mysql2") return openServer(knexSource(where), options);
    return openFile(lentSource(where), options);
  }
  if (typeof where === "object" && where !== null && "url" in where) {
    checkFields("where", where, ["url"]);
    const named = parseUrl(checkText("url", where.url));
    if ("filename" in named) throw new LockConfigError("url", where.url, "a server; { filename } names a file");
    if (Object.keys(named.query).length > 0)
      throw new LockConfigError("url", Object.keys(named.query)[0], "options beside it, not in its query");
    return serverProvider("url", named.url, options);
  }
  checkFields("where", where, ["filename", "driver"]);
  return sqliteProvider("filename", where as SqliteFile, options);
}

/** `field` is the option that named the server. */
export function serverProvider(field: string, url: string, options: SqlOptions): SqlProvider {
  return openServer(urlSource(field, url), options);
}

/** `field` is the option that named the file. */
export function sqliteProvider(field: string, file: SqliteFile, options: SqlOptions): SqlProvider {
  sqliteSettingsOf(options);
  return openFile(sourceOfFile(field, file), options);
}

function openServer(source: ServerSource, options: SqlOptions): SqlProvider {
  const settings = settingsOf(options);
  const location = new TableLocation(source, settings);
  const connector = new Connector(source, galeraNotice(settings));
  return strategies[settings.strategy]({ ...settings, connector, location });
}

const guarantees: Guarantees = {
  exclusion: "host",
  failover: "none",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "none",
  waiting: "poll",
  modes: ["exclusive", "shared", "semaphore"],
};

function openFile(source: Source, options: SqlOptions): SqlProvider {
  const { table, emit } = sqliteSettingsOf(options);
  const leases = new LeaseTable(new SqliteDatabase(source, emit), sqliteDialect(table), table);
  // Reading disturbs no writer.
  return new LeaseProvider(leases, new HolderTable(leases, sqliteHolders(table)), guarantees, {
    shortest: 5,
    longest: 50,
  });
}

function isKnex(where: unknown): where is KnexLike {
  return typeof where === "function" || (typeof where === "object" && where !== null && "client" in where);
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
