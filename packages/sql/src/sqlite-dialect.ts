import type { VersionDialect } from "./dialect.js";
import { inSchema } from "./in-schema.js";

const layout = 1;

/** The file itself: a temporary table, or one of an attached file, may have the same name. */
export const sqliteSchema = "main";
export const now: string = "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)";
export const day: number = 24 * 60 * 60 * 1000;

/**
 * SQLite. Times are Unix ms, versions Unix µs or the version before plus one, whichever is larger.
 *
 * A free row is deleted a day after its last acquisition: from then on the clock alone keeps tokens growing, and it would
 * have to go back by more than a day, which no mistaken time zone does.
 */
export function sqliteDialect(name: string): VersionDialect {
  const table = `${inSchema}"${name}"`;
  // A repeat while the lease lasts keeps the version. A lease that ended was a hold that ended, even if nobody else
  // came: what the claim takes then is another hold, and its token has to fence off what the first one left running.
  const take = `INSERT INTO ${table} AS lease (key, claim, owner, version, expires)
VALUES (:key, :claim, :owner, ${now} * 1000, ${now} + CAST(:ttl AS INTEGER))
ON CONFLICT (key) DO UPDATE SET
  claim = excluded.claim,
  owner = excluded.owner,
  version = CASE WHEN lease.claim = excluded.claim AND lease.expires > ${now} THEN lease.version
    ELSE max(lease.version + 1, excluded.version) END,
  expires = excluded.expires
WHERE lease.claim = excluded.claim OR lease.expires <= ${now}
RETURNING CAST(version AS TEXT) AS token`;
  return {
    layout,
    stored: (key) => key,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${table} (
  key TEXT NOT NULL COLLATE BINARY PRIMARY KEY, -- the lock; the row without a key tells the layout
  claim TEXT NOT NULL,                          -- who has the lease; empty once it was given up
  owner TEXT NOT NULL,                          -- the label of that claim, for people
  version INTEGER NOT NULL,                     -- the fencing token
  expires INTEGER NOT NULL                      -- when the lease ends, in Unix ms
) STRICT, WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS ${inSchema}"${name}_version" ON "${name}" (version)`,
      `INSERT INTO ${table} (key, claim, owner, version, expires)
VALUES ('', '', 'layout of dlock', ${layout}, ${2n ** 63n - 1n}) ON CONFLICT DO NOTHING`,
    ],
    exists: `SELECT 1 FROM ${inSchema}sqlite_schema WHERE type = 'table' AND name = '${name}' COLLATE NOCASE`,
    look: `SELECT version AS layout FROM ${table} WHERE key = ''`,
    // Statements run within the call: none of them can be late.
    async take(run, { key, claim, owner, ttl }) {
      const [lease] = (await run(take, { key, claim, owner, ttl })).rows;
      if (lease) return { token: BigInt(String(lease["token"])) };
      const [held] = (await run(`SELECT claim FROM ${table} WHERE key = :key AND expires > ${now}`, { key })).rows;
      return { holder: held && String(held["claim"]) };
    },
    renew: `UPDATE ${table} SET expires = ${now} + CAST(:ttl AS INTEGER)
WHERE key = :key AND claim = :claim AND expires > ${now} RETURNING 1 AS renewed`,
    raise: `UPDATE ${table} SET version = max(version, CAST(:floor AS INTEGER))
WHERE key = :key AND claim = :claim AND expires > ${now} RETURNING 1 AS raised`,
    giveUp: `UPDATE ${table} SET claim = '', expires = 0 WHERE key = :key AND claim = :claim RETURNING 1 AS ended`,
    remaining: `SELECT key, expires - ${now} AS remaining FROM ${table}
WHERE key IN (SELECT value FROM json_each(:keys))`,
    holder: `SELECT claim, owner, CAST(version AS TEXT) AS token, expires - ${now} AS remaining FROM ${table}
WHERE key = :key AND claim <> '' AND expires > ${now}`,
    evict: `UPDATE ${table} SET claim = '', expires = 0
WHERE key = :key AND claim = :claim AND version = CAST(:version AS INTEGER) AND expires > ${now} RETURNING 1 AS ended`,
    sweep: `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table}
WHERE version < (${now} - ${day}) * 1000 AND expires < ${now} - ${day} ORDER BY version LIMIT 128)`,
    // If nobody else is writing.
    sweepFor: 1,
  };
}
