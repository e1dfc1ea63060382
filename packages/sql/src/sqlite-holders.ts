import { type HolderDialect, holderTable, writer } from "./holder-dialect.js";
import { inSchema } from "./in-schema.js";
import { day, now } from "./sqlite-dialect.js";

/** SQLite: two statements, with a semicolon at the end of a line between them, are one transaction. */
export function sqliteHolders(name: string): HolderDialect {
  const [leases, holders] = [`${inSchema}"${name}"`, `${inSchema}"${holderTable(name)}"`];
  const ends = `${now} + CAST(:ttl AS INTEGER)`;
  const alive = (holder: string) =>
    `${holder}.key = lease.key AND ${holder}.company = lease.claim AND ${holder}.expires > ${now}`;
  const others = `FROM ${holders} AS other WHERE ${alive("other")} AND other.claim <> :claim`;
  const mine = `lease.key = :key
  AND EXISTS (SELECT 1 FROM ${holders} AS mine WHERE ${alive("mine")} AND mine.claim = :claim)`;
  const seen = "claim = :seen AND version = CAST(:version AS INTEGER) AND expires = CAST(:until AS INTEGER)";
  const enter = `ON CONFLICT (key, claim) DO UPDATE SET company = excluded.company, owner = excluded.owner,
  token = excluded.token, expires = excluded.expires`;
  const join = `UPDATE ${leases} SET claim = :company, owner = :owner, version = max(version + 1, ${now} * 1000),
  expires = max(expires + 1, ${ends})
WHERE key = :key AND ${seen};
INSERT INTO ${holders} (key, claim, company, owner, token, expires)
SELECT key, :claim, claim, owner, version, min(expires, ${ends}) FROM ${leases} WHERE key = :key AND changes() > 0
${enter} RETURNING CAST(token AS TEXT) AS token`;
  const downgrade = `UPDATE ${leases} SET claim = :company WHERE key = :key AND claim = :claim AND expires > ${now};
INSERT INTO ${holders} (key, claim, company, owner, token, expires)
SELECT key, :claim, claim, owner, version, expires FROM ${leases} WHERE key = :key AND changes() > 0
${enter} RETURNING 1 AS downgraded`;
  return {
    schema: [
      `CREATE TABLE IF NOT EXISTS ${holders} (
  key TEXT NOT NULL COLLATE BINARY,   -- the lock, of a lease that several share
  claim TEXT NOT NULL COLLATE BINARY, -- one of those who share it
  company TEXT NOT NULL,              -- what the lease has in place of a claim while they do; "${writer}": it waits to write
  owner TEXT NOT NULL,                -- the label of that claim, for people
  token INTEGER NOT NULL,             -- its fencing token
  expires INTEGER NOT NULL,           -- when its time ends, in Unix ms; the lease lasts as long as the last one
  PRIMARY KEY (key, claim)
) STRICT, WITHOUT ROWID`,
    ],
    perMs: 1n,
    found: `INSERT INTO ${leases} (key, claim, owner, version, expires) VALUES (:key, '', '', 0, 0) ON CONFLICT DO NOTHING`,
    look: `SELECT lease.key, lease.claim, CAST(lease.version AS TEXT) AS version, CAST(lease.expires AS TEXT) AS expires,
  CAST(${now} AS TEXT) AS clock, (SELECT count(*) ${others}) AS others,
  (SELECT CAST(min(other.expires) AS TEXT) ${others}) AS first, (SELECT CAST(max(other.expires) AS TEXT) ${others}) AS last,
  (SELECT CAST(max(expires) AS TEXT) FROM ${holders} AS writer
    WHERE writer.key = lease.key AND writer.company = '${writer}' AND writer.claim <> :claim) AS writers,
  (SELECT CAST(token AS TEXT) FROM ${holders} AS mine WHERE ${alive("mine")} AND mine.claim = :claim) AS token
FROM ${leases} AS lease WHERE lease.key IN (SELECT value FROM json_each(:keys))`,
    async join(run, bindings) {
      const [row] = (await run(join, bindings)).rows;
      return row && BigInt(String(row["token"]));
    },
    renew: `UPDATE ${leases} AS lease SET expires = max(expires + 1, ${ends}) WHERE ${mine};
UPDATE ${holders} SET expires = min(${ends}, (SELECT expires FROM ${leases} WHERE key = :key))
WHERE key = :key AND claim = :claim AND changes() > 0 RETURNING 1 AS renewed`,
    raise: `UPDATE ${leases} AS lease SET version = max(version, CAST(:floor AS INTEGER)) WHERE ${mine} RETURNING 1 AS raised`,
    async downgrade(run, bindings) {
      return (await run(downgrade, bindings)).affected > 0;
    },
    leave: `DELETE FROM ${holders} WHERE key = :key AND claim = :claim`,
    settle: `UPDATE ${leases} SET claim = :claim, expires = CAST(:ends AS INTEGER) WHERE key = :key AND ${seen} RETURNING 1 AS settled`,
    wait: `INSERT INTO ${holders} (key, claim, company, owner, token, expires)
VALUES (:key, :claim, '${writer}', '', 0, ${ends}) ${enter}`,
    holders: `SELECT owner, CAST(token AS TEXT) AS token, expires - ${now} AS remaining FROM ${holders}
WHERE key = :key AND company = :company AND expires > ${now} ORDER BY ${holders}.token`,
    sweep: `DELETE FROM ${holders} WHERE expires < ${now} - ${day}`,
  };
}
