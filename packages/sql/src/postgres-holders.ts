import { type HolderDialect, holderTable, writer } from "./holder-dialect.js";
import { inSchema } from "./in-schema.js";
import { dayAgo, notLate, now, set, told, ttl, today } from "./postgres-dialect.js";

/** PostgreSQL. */
export function postgresHolders(name: string, { notify = false }: { readonly notify?: boolean } = {}): HolderDialect {
  const [leases, holders] = [`${inSchema}"${name}"`, `${inSchema}"${holderTable(name)}"`];
  const alive = (holder: string) =>
    `${holder}.key = lease.key AND ${holder}.company = lease.claim AND ${holder}.expires > ${now}`;
  const others = `FROM ${holders} AS other WHERE ${alive("other")} AND other.claim <> :claim`;
  const mine = `mine.key = :key AND mine.claim = :claim AND mine.company = lease.claim AND mine.expires > ${now}`;
  const seen = "claim = :seen AND version = CAST(:version AS bigint) AND expires = CAST(:until AS bigint)";
  const enter = `ON CONFLICT (key, claim) DO UPDATE SET company = excluded.company, owner = excluded.owner,
  token = excluded.token, expires = excluded.expires`;
  const join = `WITH ${set("lock_timeout", "200ms")}, free AS (
  SELECT key, greatest(version + 1, ${now}) AS next, ${now} + ${ttl} AS ends
  FROM ${leases} WHERE key = :key AND ${seen} AND ${notLate} FOR UPDATE SKIP LOCKED
), lease AS (
  UPDATE ${leases} AS lease SET claim = :company, owner = :owner, version = free.next,
    expires = greatest(lease.expires + 1, free.ends), day = ${today}
  FROM free, setting WHERE lease.key = free.key RETURNING free.next, free.ends
)
INSERT INTO ${holders} (key, claim, company, owner, token, expires)
SELECT :key, :claim, :company, :owner, next, ends FROM lease ${enter} RETURNING CAST(token AS text) AS token`;
  const tell = (statement: string) => told(name, notify, statement);
  const downgrade = `WITH ${set("lock_timeout", "1s")}, lease AS (
  UPDATE ${leases} AS held SET claim = :company FROM setting WHERE key = :key AND claim = :claim AND expires > ${now}
  RETURNING key, owner, version, expires
)${tell(`
INSERT INTO ${holders} (key, claim, company, owner, token, expires)
SELECT key, :claim, :company, owner, version, expires FROM lease ${enter}`)}`;
  return {
    schema: [
      `CREATE TABLE IF NOT EXISTS ${holders} (
  key text COLLATE "C",    -- the lock, of a lease that several share
  claim text COLLATE "C",  -- one of those who share it
  company text NOT NULL,   -- what the lease has in place of a claim while they do; "${writer}": it waits to write
  owner text NOT NULL,     -- the label of that claim, for people
  token bigint NOT NULL,   -- its fencing token
  expires bigint NOT NULL, -- when its time ends, in microseconds since 1970; the lease lasts as long as the last one
  PRIMARY KEY (key, claim)
) WITH (fillfactor = 50)`,
    ],
    perMs: 1_000n,
    found: `INSERT INTO ${leases} (key, claim, owner, version, expires, day) VALUES (:key, '', '', 0, 0, ${today})
ON CONFLICT DO NOTHING`,
    look: `SELECT lease.key, lease.claim, CAST(lease.version AS text) AS version, CAST(lease.expires AS text) AS expires,
  CAST(${now} AS text) AS clock, (SELECT pg_catalog.count(*) ${others}) AS others,
  (SELECT CAST(pg_catalog.min(other.expires) AS text) ${others}) AS first, (SELECT CAST(pg_catalog.max(other.expires) AS text) ${others}) AS last,
  (SELECT CAST(pg_catalog.max(expires) AS text) FROM ${holders} AS writer
    WHERE writer.key = lease.key AND writer.company = '${writer}' AND writer.claim <> :claim) AS writers,
  (SELECT CAST(token AS text) FROM ${holders} AS mine WHERE ${alive("mine")} AND mine.claim = :claim) AS token
FROM ${leases} AS lease WHERE lease.key IN (:keys)`,
    async join(run, bindings) {
      const [row] = (await run(join, bindings)).rows;
      return row && BigInt(String(row["token"]));
    },
    renew: `WITH ${set("lock_timeout", "1s")}, moment AS (SELECT ${now} + ${ttl} AS ends FROM setting), lease AS (
  UPDATE ${leases} AS lease SET expires = greatest(lease.expires + 1, moment.ends)
  FROM ${holders} AS mine, moment WHERE lease.key = :key AND ${mine} RETURNING moment.ends
)
UPDATE ${holders} AS mine SET expires = lease.ends FROM lease WHERE mine.key = :key AND mine.claim = :claim`,
    raise: `UPDATE ${leases} AS lease SET version = greatest(lease.version, CAST(:floor AS bigint))
FROM ${holders} AS mine WHERE lease.key = :key AND ${mine}`,
    async downgrade(run, bindings) {
      return (await run(downgrade, bindings)).affected > 0;
    },
    leave: `WITH ${set("synchronous_commit", "off")}${tell(`
DELETE FROM ${holders} AS mine USING setting WHERE key = :key AND claim = :claim`)}`,
    settle: `WITH ${set("synchronous_commit", "off")}${tell(`
UPDATE ${leases} AS lease SET claim = :claim, expires = CAST(:ends AS bigint) FROM setting WHERE key = :key AND ${seen}`)}`,
    wait: `INSERT INTO ${holders} (key, claim, company, owner, token, expires)
VALUES (:key, :claim, '${writer}', '', 0, ${now} + ${ttl}) ${enter}`,
    holders: `SELECT owner, CAST(token AS text) AS token, (expires - ${now}) / 1000.0 AS remaining FROM ${holders}
WHERE key = :key AND company = :company AND expires > ${now} ORDER BY token`,
    sweep: `DELETE FROM ${holders} AS old USING (SELECT key, claim FROM ${holders}
WHERE expires < ${dayAgo} LIMIT 128 FOR UPDATE SKIP LOCKED) AS dead WHERE old.key = dead.key AND old.claim = dead.claim`,
  };
}
