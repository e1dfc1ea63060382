import { checkFields, checkOneOf, LockConfigError, type ProviderContext } from "@dlock/core";
import { checkSchema } from "./schema-name.js";
import { checkTable } from "./table-name.js";

export const strategyNames = ["version", "for-update", "advisory"] as const;
/** What keeps a lock exclusive: a row with a lease, a locked row, or an advisory lock. */
export type Strategy = (typeof strategyNames)[number];

export interface SqlOptions {
  /** Default `version`, the only one on SQLite. */
  readonly strategy?: Strategy | undefined;
  /** Default `dlock_leases`. */
  readonly table?: string | undefined;
  /**
   * The schema of the table, on MySQL and MariaDB its database. Default: the first one of the search path that has the table or, if
   * there is none in the whole database, the first one, in both cases without `$user`; the database of the connection.
   */
  readonly schema?: string | undefined;
  /** How many connections locks may have, at most; not on SQLite, where there is one. The README tells the defaults. */
  readonly connections?: number | undefined;
  /** PostgreSQL, strategy `version`: tells who waits by NOTIFY, instead of their looking every 100 ms. Default false. */
  readonly notify?: boolean | undefined;
  /** Hears what the provider reports about itself. Must not throw. */
  readonly emit?: ProviderContext["emit"] | undefined;
}

export interface Settings {
  readonly strategy: Strategy;
  readonly table: string;
  /** Checked where it is known of which database. */
  readonly schema: string | undefined;
  readonly connections: number | undefined;
  readonly notify: boolean;
  readonly emit: ProviderContext["emit"];
}

export const defaultTable = "dlock_leases";
export const optionFields: readonly string[] = ["strategy", "table", "schema", "connections", "notify"];

/** The options, checked and complete. */
export function settingsOf(options: SqlOptions): Settings {
  checkFields("options", options, [...optionFields, "emit"]);
  const { strategy = "version", table = defaultTable, schema, connections, notify = false, emit = () => {} } = options;
  checkOneOf("strategy", strategy, strategyNames);
  checkOneOf("notify", notify, [true, false]);
  if (connections !== undefined && !(Number.isInteger(connections) && connections >= 1 && connections <= 1_000))
    throw new LockConfigError("connections", connections, "a whole number from 1 to 1000");
  if (notify && strategy !== "version")
    throw new LockConfigError("notify", notify, `false with strategy "${strategy}", whose waiters need no telling`);
  if (typeof emit !== "function") throw new LockConfigError("emit", emit, "a function");
  return { strategy, table: checkTable(table), schema, connections, notify, emit };
}

/** Of an SQLite file: nothing but the table is anybody's choice. */
export function sqliteSettingsOf(options: SqlOptions): Settings {
  const settings = settingsOf(options);
  if (settings.strategy !== "version")
    throw new LockConfigError("strategy", settings.strategy, '"version", the only strategy on SQLite');
  if (settings.schema !== undefined) checkSchema("sqlite", settings.schema);
  if (settings.notify) throw new LockConfigError("notify", true, "false: only PostgreSQL has NOTIFY");
  if (settings.connections !== undefined)
    throw new LockConfigError("connections", settings.connections, "nothing: on SQLite there is one");
  return settings;
}
