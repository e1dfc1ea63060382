import { type FencingToken, type HolderStatus, monotonicNow } from "@dlock/core";
import type { Counters, OwnTable } from "./counters.js";
import type { Wanted } from "./exclusion.js";
import { dayAgo } from "./mysql-dialect.js";
import { inSchema } from "./in-schema.js";
import { storedKeyLength } from "./stored-key.js";

// One search through the table for as many readers that have left.
const sweepEvery = 512;

interface Statements extends OwnTable {
  readonly add: string;
  readonly remove: string;
  /** A lock on a row that was added, in a transaction. */
  readonly lock: string;
  /** Those of a key whose rows are locked. */
  readonly locked: string;
  /** Those that were added more than a day ago, unless they are locked. */
  readonly sweep: string;
}

/**
 * Who reads, for people to see: nothing depends on it. Rows of readers that died stay for a day or more; whoever shows
 * them has to know which of them live.
 */
export class ReaderTable {
  readonly statements: Statements;
  readonly #counters: Counters;
  #left = 0;

  constructor(counters: Counters, statements: Statements) {
    this.#counters = counters;
    this.statements = statements;
  }

  /** `backend`: PostgreSQL's number of the session. */
  async add({ key, claim, owner }: Wanted, token: FencingToken, until: number, backend = "0"): Promise<void> {
    const bindings = { ...this.#named(key, claim), owner, token: String(token), backend };
    await this.#counters.query(this.statements.add, bindings, until);
  }

  /** Never rejects. */
  async remove({ key, claim }: Wanted): Promise<void> {
    try {
      const until = monotonicNow() + 1_000;
      await this.#counters.query(this.statements.remove, this.#named(key, claim), until);
      if (++this.#left % sweepEvery === 0) await this.#counters.query(this.statements.sweep, {}, until);
    } catch {
      // Another sweep will.
    }
  }

  async show(sql: string, key: string, id: string, until: number): Promise<readonly HolderStatus[]> {
    const { rows } = await this.#counters.query(sql, { key: this.#counters.stored(key), id }, until);
    return rows.map(({ owner, token }) => ({
      owner: String(owner),
      mode: "shared",
      fencingToken: BigInt(String(token)),
    }));
  }

  #named(key: string, claim: string): { readonly key: string; readonly claim: string } {
    return { key: this.#counters.stored(key), claim };
  }
}

/** `table` is the one of the leases. */
export function readerRows(family: "postgres" | "mysql", table: string): Statements {
  return family === "postgres" ? postgresReaders(`${table}_readers`) : mysqlReaders(`${table}_readers`);
}

function postgresReaders(name: string): Statements {
  const readers = `${inSchema}"${name}"`;
  return {
    name,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${readers} (
  key text COLLATE "C" NOT NULL, -- the lock
  claim text NOT NULL,           -- who reads
  owner text NOT NULL,           -- the label of that claim, for people
  token bigint NOT NULL,         -- the fencing token
  backend integer NOT NULL,      -- advisory: the process of the session
  PRIMARY KEY (key, claim)
)`,
    ],
    add: `INSERT INTO ${readers} (key, claim, owner, token, backend) VALUES (:key, :claim, :owner, :token, :backend)
ON CONFLICT (key, claim) DO UPDATE SET token = excluded.token, backend = excluded.backend`,
    remove: `DELETE FROM ${readers} WHERE key = :key AND claim = :claim`,
    lock: `SELECT 1 FROM ${readers} WHERE key = :key AND claim = :claim FOR UPDATE`,
    locked: `SELECT owner, token FROM ${readers} WHERE key = :key
AND claim NOT IN (SELECT claim FROM ${readers} WHERE key = :key FOR UPDATE SKIP LOCKED)`,
    sweep: `DELETE FROM ${readers} WHERE (key, claim) IN (SELECT key, claim FROM ${readers}
WHERE token < CAST(extract(epoch FROM pg_catalog.statement_timestamp()) * 1000000 AS bigint) - 86400000000 LIMIT 128 FOR UPDATE SKIP LOCKED)`,
  };
}

function mysqlReaders(name: string): Statements {
  const readers = `${inSchema}\`${name}\``;
  return {
    name,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${readers} (
  \`key\` VARBINARY(${storedKeyLength}) NOT NULL,             -- the lock
  claim VARBINARY(255) NOT NULL,             -- who reads
  owner TEXT CHARACTER SET utf8mb4 NOT NULL, -- the label of that claim, for people
  token BIGINT NOT NULL,                     -- the fencing token
  PRIMARY KEY (\`key\`, claim)
) ENGINE=InnoDB`,
    ],
    add: `INSERT INTO ${readers} (\`key\`, claim, owner, token) VALUES (:key, :claim, :owner, :token)
ON DUPLICATE KEY UPDATE token = VALUES(token)`,
    remove: `DELETE FROM ${readers} WHERE \`key\` = :key AND claim = :claim`,
    lock: `SELECT 1 FROM ${readers} WHERE \`key\` = :key AND claim = :claim FOR UPDATE`,
    locked: `SELECT owner, token FROM ${readers} WHERE \`key\` = :key
AND claim NOT IN (SELECT claim FROM ${readers} WHERE \`key\` = :key FOR UPDATE SKIP LOCKED)`,
    sweep: `DELETE reader FROM (
  SELECT \`key\`, claim FROM ${readers}
  WHERE token < ${dayAgo} LIMIT 128 FOR UPDATE SKIP LOCKED
) AS old STRAIGHT_JOIN ${readers} AS reader FORCE INDEX (PRIMARY) ON reader.\`key\` = old.\`key\` AND reader.claim = old.claim`,
  };
}
