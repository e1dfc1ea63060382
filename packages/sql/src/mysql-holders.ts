import { type HolderDialect, holderTable, writer } from "./holder-dialect.js";
import { inSchema } from "./in-schema.js";
import { dayAgo, notLate, now, today, ttl } from "./mysql-dialect.js";
import { storedKeyLength } from "./stored-key.js";

/** The word in place of a company's of those who have yet to join one: no lease has it, also none that is free. */
const nobody = "nobody";

/** MySQL and MariaDB: what one statement cannot both insert and update is inserted, without effect, before. */
export function mysqlHolders(name: string): HolderDialect {
  const [leases, holders] = [`${inSchema}\`${name}\``, `${inSchema}\`${holderTable(name)}\``];
  const alive = (holder: string) =>
    `${holder}.\`key\` = lease.\`key\` AND ${holder}.company = lease.claim AND ${holder}.expires > ${now}`;
  const others = `FROM ${holders} AS other WHERE ${alive("other")} AND other.claim <> :claim`;
  const seen = "claim = :seen AND version = CAST(:version AS SIGNED) AND expires = CAST(:until AS SIGNED)";
  // In this order everywhere, by force: first the lease, which whoever else is about to write waits for.
  const leaseAndMine = (
    key: string,
  ) => `STRAIGHT_JOIN ${leases} AS lease FORCE INDEX (PRIMARY) ON lease.\`key\` = ${key}
STRAIGHT_JOIN ${holders} AS mine FORCE INDEX (PRIMARY) ON mine.\`key\` = lease.\`key\` AND mine.claim = :claim`;
  // The limit keeps it from being merged, and the time from being read once for each table.
  const moment = `(SELECT ${now} + ${ttl} AS ends LIMIT 1) AS moment ${leaseAndMine(":key")}`;
  const place = `INSERT INTO ${holders} (\`key\`, claim, company, owner, token, expires) VALUES (:key, :claim, '${nobody}', '', 0, ${now})
ON DUPLICATE KEY UPDATE token = token`;
  const join = `UPDATE (
  SELECT \`key\`, GREATEST(version + 1, ${now}) AS next, ${now} + ${ttl} AS ends
  FROM ${leases} WHERE \`key\` = :key AND ${seen} AND ${notLate} LIMIT 1 FOR UPDATE SKIP LOCKED
) AS free ${leaseAndMine("free.`key`")}
SET lease.version = LAST_INSERT_ID(free.next), lease.claim = :company, lease.owner = :owner,
  lease.expires = GREATEST(lease.expires + 1, free.ends), lease.day = ${today},
  mine.company = :company, mine.owner = :owner, mine.token = free.next, mine.expires = free.ends`;
  const downgrade = `UPDATE (SELECT 1 AS one LIMIT 1) AS moment ${leaseAndMine(":key")}
SET lease.claim = :company, mine.company = :company, mine.owner = lease.owner, mine.token = lease.version,
  mine.expires = lease.expires
WHERE lease.claim = :claim AND lease.expires > ${now}`;
  return {
    schema: [
      `CREATE TABLE IF NOT EXISTS ${holders} (
  \`key\` VARBINARY(${storedKeyLength}) NOT NULL,             -- the lock, of a lease that several share
  claim VARBINARY(100) NOT NULL,             -- one of those who share it
  company VARBINARY(255) NOT NULL,           -- what the lease has in place of a claim while they do; "${writer}": it waits to write
  owner TEXT CHARACTER SET utf8mb4 NOT NULL, -- the label of that claim, for people
  token BIGINT NOT NULL,                     -- its fencing token
  expires BIGINT NOT NULL,                   -- when its time ends, in microseconds since 1970; the lease lasts as long as the last one
  PRIMARY KEY (\`key\`, claim)
) ENGINE=InnoDB`,
    ],
    perMs: 1_000n,
    found: `INSERT INTO ${leases} (\`key\`, claim, owner, version, expires, day) VALUES (:key, '', '', 0, 0, ${today})
ON DUPLICATE KEY UPDATE version = version`,
    look: `SELECT lease.\`key\`, lease.claim, CAST(lease.version AS CHAR) AS version, CAST(lease.expires AS CHAR) AS expires,
  CAST(${now} AS CHAR) AS clock, (SELECT COUNT(*) ${others}) AS others,
  (SELECT CAST(MIN(other.expires) AS CHAR) ${others}) AS first, (SELECT CAST(MAX(other.expires) AS CHAR) ${others}) AS last,
  (SELECT CAST(MAX(writer.expires) AS CHAR) FROM ${holders} AS writer
    WHERE writer.\`key\` = lease.\`key\` AND writer.company = '${writer}' AND writer.claim <> :claim) AS writers,
  (SELECT CAST(mine.token AS CHAR) FROM ${holders} AS mine WHERE ${alive("mine")} AND mine.claim = :claim) AS token
FROM ${leases} AS lease WHERE lease.\`key\` IN (:keys)`,
    async join(run, bindings) {
      await run(place, bindings);
      const { affected, insertId } = await run(join, bindings);
      return affected > 0 ? insertId : undefined;
    },
    renew: `UPDATE ${moment} SET lease.expires = GREATEST(lease.expires + 1, moment.ends), mine.expires = moment.ends
WHERE lease.claim = mine.company AND mine.expires > ${now}`,
    raise: `UPDATE (SELECT CAST(:floor AS SIGNED) AS floor LIMIT 1) AS moment ${leaseAndMine(":key")}
SET lease.version = GREATEST(lease.version, moment.floor)
WHERE lease.claim = mine.company AND mine.expires > ${now}`,
    async downgrade(run, bindings) {
      await run(place, bindings);
      return (await run(downgrade, bindings)).affected > 0;
    },
    leave: `DELETE FROM ${holders} WHERE \`key\` = :key AND claim = :claim`,
    settle: `UPDATE ${leases} SET claim = :claim, expires = CAST(:ends AS SIGNED) WHERE \`key\` = :key AND ${seen}`,
    wait: `INSERT INTO ${holders} (\`key\`, claim, company, owner, token, expires)
VALUES (:key, :claim, '${writer}', '', 0, ${now} + ${ttl})
ON DUPLICATE KEY UPDATE company = '${writer}', expires = ${now} + ${ttl}`,
    holders: `SELECT owner, CAST(token AS CHAR) AS token, (expires - ${now}) / 1000 AS remaining FROM ${holders}
WHERE \`key\` = :key AND company = :company AND expires > ${now} ORDER BY ${holders}.token`,
    sweep: `DELETE old FROM (
  SELECT \`key\`, claim FROM ${holders} WHERE expires < ${dayAgo} LIMIT 128 FOR UPDATE SKIP LOCKED
) AS dead STRAIGHT_JOIN ${holders} AS old FORCE INDEX (PRIMARY) ON old.\`key\` = dead.\`key\` AND old.claim = dead.claim`,
  };
}
