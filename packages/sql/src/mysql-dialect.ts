import type { ServerDialect } from "./dialect.js";
import { inSchema } from "./in-schema.js";
import { storedKey, storedKeyLength } from "./stored-key.js";
import { codeOf } from "./server-failure.js";
import { utc } from "./session.js";

const layout = 1;
const duplicate = 1062;
const lockWaitTimeout = 1205;

// Unix µs as they are when a row is looked at, and never a local time, which goes back by an hour in autumn. Only SYSDATE
// goes on during a statement, in the zone of the session: it is asked where that is UTC (`inUtc`), else the statement's start.
export const now: string = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', IF(@@time_zone = '${utc}', SYSDATE(6), UTC_TIMESTAMP(6)))`;
export const today: string = `(${now} DIV 86400000000)`;
// An index is of no use against a clock that goes on. What `SET timestamp` does to this one, the clock beside it makes harmless.
const yesterday = "TIMESTAMPDIFF(DAY, '1970-01-01', UTC_TIMESTAMP()) - 1";
export const dayAgo: string = `${now} - 86400000000`;
export const ttl: string = "CAST(:ttl AS SIGNED) * 1000";
export const notLate: string = `${now} < CAST(:deadline AS SIGNED)`;

/**
 * MySQL and MariaDB, which have no `RETURNING` for an update: the token comes back as LAST_INSERT_ID. Times, versions and
 * days are those of PostgreSQL.
 */
export function mysqlDialect(name: string): ServerDialect {
  const table = `${inSchema}\`${name}\``;
  // Joined, because an update cannot skip a row that a transaction has locked, and must not wait for it; by force, because
  // a small table would be scanned, and others' rows be waited for.
  const joined = `STRAIGHT_JOIN ${table} AS lease FORCE INDEX (PRIMARY)`;
  const update = `UPDATE (
  SELECT \`key\`, IF(claim = :claim AND expires > ${now}, version, GREATEST(version + 1, ${now})) AS next
  FROM ${table} WHERE \`key\` = :key AND (claim = :claim OR expires <= ${now}) AND ${notLate}
  LIMIT 1 FOR UPDATE SKIP LOCKED
) AS free ${joined} ON lease.\`key\` = free.\`key\`
SET lease.version = LAST_INSERT_ID(free.next), lease.claim = :claim, lease.owner = :owner,
  lease.expires = ${now} + ${ttl}, lease.day = ${today}`;
  const look = `SELECT ${now} AS clock, (SELECT claim FROM ${table} WHERE \`key\` = :key) AS holder`;
  const insert = `INSERT INTO ${table} (\`key\`, claim, owner, version, expires, day)
SELECT :key, :claim, :owner, LAST_INSERT_ID(${now}), ${now} + ${ttl}, ${today} FROM DUAL WHERE ${notLate}`;
  const bump = `INSERT INTO ${table} (\`key\`, claim, owner, version, expires, day)
VALUES (:key, :claim, :owner, LAST_INSERT_ID(${now}), 0, ${today}) ON DUPLICATE KEY UPDATE
  version = LAST_INSERT_ID(GREATEST(version + 1, ${now})), claim = :claim, owner = :owner, day = ${today}`;
  return {
    layout,
    stored: storedKey,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${table} (
  \`key\` VARBINARY(${storedKeyLength}) NOT NULL PRIMARY KEY, -- the lock; the row without a key tells the layout
  claim VARBINARY(255) NOT NULL,             -- who has the lease; empty once it was given up
  owner TEXT CHARACTER SET utf8mb4 NOT NULL, -- the label of that claim, for people
  version BIGINT NOT NULL,                   -- the fencing token
  expires BIGINT NOT NULL,                   -- when the lease ends, in microseconds since 1970
  day INT NOT NULL,                          -- of the last acquisition, in days since 1970
  KEY (day)
) ENGINE=InnoDB`,
      `INSERT INTO ${table} (\`key\`, claim, owner, version, expires, day)
VALUES ('', '', 'layout of dlock', ${layout}, ${2n ** 63n - 1n}, 2147483647) ON DUPLICATE KEY UPDATE day = 2147483647`,
    ],
    exists: `SELECT 1 FROM information_schema.tables WHERE table_schema = :schema AND table_name = '${name}'`,
    look: `SELECT version AS layout, ${now} AS clock FROM ${table} WHERE \`key\` = ''`,
    async take(run, bindings) {
      const updated = await run(update, bindings);
      if (updated.affected > 0) return { token: updated.insertId };
      const [found] = (await run(look, { key: bindings.key })).rows;
      const clock = Number(found?.["clock"]);
      const holder = found?.["holder"] as Uint8Array | null | undefined;
      if (holder) return { clock, holder: new TextDecoder().decode(holder) };
      try {
        const inserted = await run(insert, bindings);
        return inserted.affected > 0 ? { token: inserted.insertId } : { clock: bindings.deadline };
      } catch (error) {
        // Somebody else was first, or has yet to commit.
        const code = codeOf(error);
        if (code === duplicate || code === lockWaitTimeout) return { clock };
        throw error;
      }
    },
    async bump(run, bindings) {
      const { insertId } = await run(bump, bindings);
      if (insertId === undefined) throw new Error("unreachable: the statement gives it");
      return insertId;
    },
    renew: `UPDATE ${table} SET expires = ${now} + ${ttl} WHERE \`key\` = :key AND claim = :claim AND expires > ${now}`,
    raise: `UPDATE ${table} SET version = GREATEST(version, CAST(:floor AS SIGNED))
WHERE \`key\` = :key AND claim = :claim AND expires > ${now}`,
    giveUp: `UPDATE ${table} SET claim = '', expires = 0 WHERE \`key\` = :key AND claim = :claim`,
    remaining: `SELECT \`key\`, (expires - ${now}) / 1000 AS remaining FROM ${table} WHERE \`key\` IN (:keys)`,
    holder: `SELECT claim, owner, version AS token, (expires - ${now}) / 1000 AS remaining FROM ${table}
WHERE \`key\` = :key AND claim <> '' AND expires > ${now}`,
    evict: `UPDATE ${table} SET claim = '', expires = 0 WHERE \`key\` = :key AND claim = :claim
  AND version = CAST(:version AS SIGNED) AND expires > ${now}`,
    sweep: `DELETE lease FROM (
  SELECT \`key\` FROM ${table} WHERE day < ${yesterday} AND version < ${dayAgo} AND expires < ${dayAgo}
  LIMIT 128 FOR UPDATE SKIP LOCKED
) AS old ${joined} ON lease.\`key\` = old.\`key\``,
    sweepFor: 2_000,
  };
}
