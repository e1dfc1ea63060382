import { lockName } from "./advisory.js";
import { storedKeyLength } from "./stored-key.js";

/** The rows that are locked, in one dialect; `:key` is a stored key. Nothing is ever written to a row: whoever has it locked, holds. */
export interface LockRows {
  readonly schema: readonly string[];
  /** A row if the table is there: who may not create one must not try. */
  readonly exists: string;
  readonly begin: string;
  /** Locks it if it is there and free: a row, or none. */
  readonly take: string;
  /** Locks it if it is there, when it is free. */
  readonly wait: string;
  /** A row if it is there, free or not. */
  readonly look: string;
  readonly insert: string;
  /** Where inserting a row that somebody has locked meanwhile would wait for him: `:id` is entered by one at a time, who looks once more. */
  readonly alone?: { readonly enter: string; readonly leave: string } | undefined;
  /** A row if it is locked. */
  readonly held: string;
  /** Some `key`s of which no token is counted any more, for `remove`. */
  readonly idle: string;
  readonly remove: string;
}

/** `table` is the one of the leases, where the tokens are counted. */
export function lockRows(family: "postgres" | "mysql", table: string): LockRows {
  return family === "postgres" ? postgresRows(table) : mysqlRows(table);
}

function postgresRows(table: string): LockRows {
  const rows = `"${table}_rows"`;
  return {
    schema: [
      `CREATE TABLE IF NOT EXISTS ${rows} (
  key text COLLATE "C" PRIMARY KEY -- the lock; never written again: whoever has the row locked, holds
)`,
    ],
    exists: `SELECT 1 WHERE to_regclass('${rows}') IS NOT NULL`,
    // At any level above this one, a row that was inserted meanwhile is an error.
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    take: `SELECT key FROM ${rows} WHERE key = :key FOR UPDATE SKIP LOCKED`,
    wait: `SELECT key FROM ${rows} WHERE key = :key FOR UPDATE`,
    look: `SELECT key FROM ${rows} WHERE key = :key`,
    insert: `INSERT INTO ${rows} (key) VALUES (:key) ON CONFLICT DO NOTHING`,
    // Who locked a row left his transaction in it, which may be over. To try would be to lock it, for a moment.
    held: `SELECT 1 AS held FROM ${rows} AS locked JOIN pg_locks AS lock ON lock.locktype = 'transactionid'
AND lock.transactionid = locked.xmax AND lock.mode = 'ExclusiveLock' AND lock.granted WHERE locked.key = :key`,
    idle: `SELECT key FROM ${rows} AS idle WHERE NOT EXISTS (SELECT 1 FROM "${table}" AS lease WHERE lease.key = idle.key) LIMIT 128`,
    remove: `DELETE FROM ${rows} WHERE key IN (:keys)`,
  };
}

function mysqlRows(table: string): LockRows {
  const rows = `\`${table}_rows\``;
  return {
    schema: [
      `CREATE TABLE IF NOT EXISTS ${rows} (
  \`key\` VARBINARY(${storedKeyLength}) NOT NULL PRIMARY KEY -- the lock; never written again: whoever has the row locked, holds
) ENGINE=InnoDB`,
    ],
    exists: `SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '${table}_rows'`,
    begin: "START TRANSACTION",
    take: `SELECT \`key\` FROM ${rows} WHERE \`key\` = :key FOR UPDATE SKIP LOCKED`,
    wait: `SELECT \`key\` FROM ${rows} WHERE \`key\` = :key FOR UPDATE`,
    look: `SELECT \`key\` FROM ${rows} WHERE \`key\` = :key`,
    insert: `INSERT INTO ${rows} (\`key\`) VALUES (:key)`,
    alone: { enter: `SELECT GET_LOCK(${lockName}, 1) AS taken`, leave: `SELECT RELEASE_LOCK(${lockName})` },
    held: `SELECT 1 AS held FROM ${rows} WHERE \`key\` = :key
AND NOT EXISTS (SELECT 1 FROM ${rows} WHERE \`key\` = :key FOR UPDATE SKIP LOCKED)`,
    idle: `SELECT \`key\` FROM ${rows} AS idle
WHERE NOT EXISTS (SELECT 1 FROM \`${table}\` AS lease WHERE lease.\`key\` = idle.\`key\`) LIMIT 128`,
    remove: `DELETE FROM ${rows} WHERE \`key\` IN (:keys)`,
  };
}
