import { createRequire } from "node:module";
import { promisify } from "node:util";
import { LockConfigError } from "@dlock/core";

/** A knex instance, by the members used here: any copy of knex 3 will do. */
export interface KnexLike {
  readonly client: unknown;
  readonly isTransaction?: boolean | undefined;
}

/** What knex calls a client: a dialect, its driver and its settings. */
export interface KnexClient {
  readonly driverName?: string | undefined;
  readonly config: KnexConfig;
  acquireRawConnection(): Promise<Connection>;
  destroyRawConnection(connection: Connection): Promise<unknown>;
}

/** A connection as better-sqlite3 and libsql have it. */
export interface Connection {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
}

interface Statement {
  /** Whether it returns rows; `all` is for those that do. */
  readonly reader: boolean;
  all(bindings: object): unknown[];
  run(bindings: object): unknown;
}

interface KnexConfig {
  readonly connection?: unknown;
  readonly pool?: { readonly afterCreate?: unknown } | undefined;
}

type ClientClass = new (config: object) => KnexClient;

/** How to come by a connection of our own. */
export interface Source {
  /** The option that named the database, and what it said, for errors. */
  readonly field: string;
  readonly value: string;
  open(): Promise<{ readonly client: KnexClient; readonly connection: Connection }>;
}

// Without these knex prints to the console. Without a pool nothing is shared, kept open or timed behind our back.
const log = { warn: silent, error: silent, deprecate: silent, debug: silent };
const apart = { pool: { max: 0 }, useNullAsDefault: true, log };

/** Opens a file with a driver that speaks like better-sqlite3, as libsql does. */
export function fileSource(field: string, filename: string, driver: unknown): Source {
  const require = createRequire(import.meta.url);
  const Base = require("knex/lib/dialects/better-sqlite3/index.js") as ClientClass;
  class Client extends Base {
    /** knex would look for the driver beside itself. */
    _driver(): unknown {
      return driver;
    }
  }
  const client = new Client({ ...apart, client: Client, connection: { filename } });
  return { field, value: filename, open: async () => ({ client, connection: await client.acquireRawConnection() }) };
}

/**
 * Opens what a lent knex opens, with that knex's own driver: its pool may be full of the application's queries, and a
 * second SQLite library in one process would drop the first one's file locks.
 */
export function lentSource(lent: KnexLike): Source {
  const theirs = lent.client as KnexClient;
  const accepted = 'a knex instance with client "pg", "mysql2", "better-sqlite3" or a class that extends one of them';
  if (typeof theirs?.acquireRawConnection !== "function") throw new LockConfigError("knex", lent, accepted);
  if (theirs.driverName !== "better-sqlite3") throw new LockConfigError("knex", theirs.driverName, accepted);
  if (lent.isTransaction) {
    throw new LockConfigError("knex", "a transaction", "the knex it belongs to: its rollback would undo locks");
  }
  const open = async () => {
    const { connection: settings, pool } = theirs.config;
    const connecting: unknown = typeof settings === "function" ? await settings() : settings;
    const Client = theirs.constructor as ClientClass;
    const client = new Client({ ...apart, client: Client, connection: connecting });
    const connection = await client.acquireRawConnection();
    if (typeof pool?.afterCreate === "function") await promisify(pool.afterCreate as AfterCreate)(connection);
    return { client, connection };
  };
  return { field: "knex", value: fileOf(theirs.config.connection), open };
}

type AfterCreate = (connection: Connection, done: (error: Error | null) => void) => void;

function fileOf(settings: unknown): string {
  const named = typeof settings === "object" && settings !== null && "filename" in settings;
  return named ? String(settings.filename) : "its connection";
}

function silent(): void {}
