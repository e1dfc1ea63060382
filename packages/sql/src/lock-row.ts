import type { LockMode } from "@dlock/core";
import { advisoryHeld, advisoryNumber, lockName } from "./advisory.js";
import type { OwnTable } from "./counters.js";
import { inSchema } from "./in-schema.js";
import { storedKeyLength } from "./stored-key.js";

/** The rows that are locked, in one dialect; `:key` is a stored key, `:gate` the number of `gateOf`. Nothing is ever written to a row: whoever has it locked, holds. */
export interface LockRows extends OwnTable {
  readonly begin: string;
  /** Locks it if it is there and free: a row, or none. */
  readonly take: Readonly<Record<LockMode, string>>;
  /** Locks it if it is there, when it is free. */
  readonly wait: Readonly<Record<LockMode, string>>;
  /** A row if it is there, free or not. */
  readonly look: string;
  readonly insert: string;
  /** Where inserting a row that somebody has locked meanwhile would wait for him: `:id` is entered by one at a time, who looks once more. */
  readonly alone?: { readonly enter: string; readonly leave: string } | undefined;
  /** A row if somebody has it locked alone. */
  readonly held: string;
  /** Some `key`s of which no token is counted any more, for `remove`. */
  readonly idle: string;
  readonly remove: string;
}

/**
 * PostgreSQL lets readers past a writer who waits for a row, for ever if they never end. Locks by number are served in
 * order: whoever wants the row passes such a gate first, and holds it for as long.
 */
const gate = "CAST(:gate AS bigint)";

export function gateOf(table: string, key: string): string {
  return advisoryNumber(`${table}_rows`, key);
}

/** MySQL has it with SKIP LOCKED in these words only, MariaDB in those; each takes the other's for a comment. */
const forShare = "/*!80001 FOR SHARE *//*M! LOCK IN SHARE MODE */";

/** `table` is the one of the leases, where the tokens are counted. */
export function lockRows(family: "postgres" | "mysql", table: string): LockRows {
  return family === "postgres" ? postgresRows(table) : mysqlRows(table);
}

function postgresRows(table: string): LockRows {
  const rows = `${inSchema}"${table}_rows"`;
  return {
    name: `${table}_rows`,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${rows} (
  key text COLLATE "C" PRIMARY KEY -- the lock; never written again: whoever has the row locked, holds
)`,
    ],
    // At any level above this one, a row that was inserted meanwhile is an error.
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    take: {
      exclusive: `SELECT key FROM ${rows} WHERE key = :key AND pg_catalog.pg_try_advisory_xact_lock(${gate}) FOR UPDATE SKIP LOCKED`,
      shared: `SELECT key FROM ${rows} WHERE key = :key AND pg_catalog.pg_try_advisory_xact_lock_shared(${gate}) FOR SHARE SKIP LOCKED`,
    },
    wait: {
      exclusive: `SELECT key FROM ${rows} WHERE key = :key AND CAST(pg_catalog.pg_advisory_xact_lock(${gate}) AS text) = '' FOR UPDATE`,
      shared: `SELECT key FROM ${rows} WHERE key = :key AND CAST(pg_catalog.pg_advisory_xact_lock_shared(${gate}) AS text) = '' FOR SHARE`,
    },
    look: `SELECT key FROM ${rows} WHERE key = :key`,
    insert: `INSERT INTO ${rows} (key) VALUES (:key) ON CONFLICT DO NOTHING`,
    // To try the row would be to lock it, for a moment.
    held: advisoryHeld(gate),
    idle: `SELECT key FROM ${rows} AS idle WHERE NOT EXISTS (SELECT 1 FROM ${inSchema}"${table}" AS lease WHERE lease.key = idle.key) LIMIT 128`,
    remove: `DELETE FROM ${rows} WHERE key IN (:keys)`,
  };
}

function mysqlRows(table: string): LockRows {
  const rows = `${inSchema}\`${table}_rows\``;
  const look = `SELECT \`key\` FROM ${rows} WHERE \`key\` = :key`;
  return {
    name: `${table}_rows`,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${rows} (
  \`key\` VARBINARY(${storedKeyLength}) NOT NULL PRIMARY KEY -- the lock; never written again: whoever has the row locked, holds
) ENGINE=InnoDB`,
    ],
    begin: "START TRANSACTION",
    take: { exclusive: `${look} FOR UPDATE SKIP LOCKED`, shared: `${look} ${forShare} SKIP LOCKED` },
    wait: { exclusive: `${look} FOR UPDATE`, shared: `${look} ${forShare}` },
    look,
    insert: `INSERT INTO ${rows} (\`key\`) VALUES (:key)`,
    alone: { enter: `SELECT GET_LOCK(${lockName}, 1) AS taken`, leave: `SELECT RELEASE_LOCK(${lockName})` },
    held: `SELECT 1 AS held FROM ${rows} WHERE \`key\` = :key
AND NOT EXISTS (${look} ${forShare} SKIP LOCKED)`,
    idle: `SELECT \`key\` FROM ${rows} AS idle
WHERE NOT EXISTS (SELECT 1 FROM ${inSchema}\`${table}\` AS lease WHERE lease.\`key\` = idle.\`key\`) LIMIT 128`,
    remove: `DELETE FROM ${rows} WHERE \`key\` IN (:keys)`,
  };
}
