import type { ServerDialect } from "./dialect.js";
import { codeOf } from "./server-failure.js";
import { inSchema } from "./in-schema.js";
import { storedKey } from "./stored-key.js";

const layout = 1;
const lockNotAvailable = "55P03";

// The clock as it is when a row is looked at: `now()` is that of the transaction's start.
export const now: string = "CAST(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000 AS bigint)";
export const today: string = "CAST(extract(epoch FROM pg_catalog.clock_timestamp()) AS bigint) / 86400";
// An index is of no use against a clock that goes on.
const yesterday = "CAST(extract(epoch FROM pg_catalog.statement_timestamp()) AS bigint) / 86400 - 1";
export const dayAgo: string =
  "CAST(extract(epoch FROM pg_catalog.statement_timestamp()) * 1000000 AS bigint) - 86400000000";
export const ttl: string = "CAST(:ttl AS bigint) * 1000";
export const notLate: string = `${now} < CAST(:deadline AS bigint)`;
// For one statement, hence behind a pooler too. The rows of others are waited for no longer than their own statements take.
export const set = (name: string, value: string): string =>
  `setting AS (SELECT pg_catalog.set_config('${name}', '${value}', true))`;
/** Who waits is told with the commit. Whoever commits with a message waits for all others who do: hence the option. */
export const told = (channel: string, notify: boolean, statement: string): string =>
  notify
    ? `, ended AS (${statement} RETURNING key) SELECT pg_catalog.pg_notify('${channel}', key) FROM ended`
    : statement;

/** Asked of the catalog by name: a function that takes a name would look it up as the session does, and needs rights to it. */
const tableExists = (name: string): string => `SELECT 1 FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
WHERE space.nspname = :schema AND class.relname = '${name}'`;

/**
 * PostgreSQL. Times are Unix µs, versions likewise or the version before plus one, whichever is larger.
 *
 * A free row is deleted a day after its last acquisition, and found by `day`, which an acquisition changes once a day: an
 * index on anything else would be written by every one of them.
 */
export function postgresDialect(name: string, { notify = false }: { readonly notify?: boolean } = {}): ServerDialect {
  const table = `${inSchema}"${name}"`;
  // A row that a transaction has locked is not free, and nobody waits for it. What the claim takes after its lease ended
  // is another hold, with a larger version. The last line makes the clock known to whoever was late.
  const take = `WITH ${set("lock_timeout", "200ms")}, free AS (
  SELECT key, CASE WHEN claim = :claim AND expires > ${now} THEN version ELSE greatest(version + 1, ${now}) END AS next
  FROM ${table} WHERE key = :key AND (claim = :claim OR expires <= ${now}) AND ${notLate}
  FOR UPDATE SKIP LOCKED
), updated AS (
  UPDATE ${table} AS lease
  SET claim = :claim, owner = :owner, version = free.next, expires = ${now} + ${ttl}, day = ${today}
  FROM free WHERE lease.key = free.key RETURNING lease.version
), inserted AS (
  INSERT INTO ${table} (key, claim, owner, version, expires, day)
  SELECT :key, :claim, :owner, ${now}, ${now} + ${ttl}, ${today} FROM setting
  WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE key = :key) AND ${notLate}
  ON CONFLICT DO NOTHING RETURNING version
)
SELECT CAST((SELECT version FROM updated UNION ALL SELECT version FROM inserted) AS text) AS token, ${now} AS clock,
  (SELECT claim FROM ${table} WHERE key = :key AND expires > ${now}) AS holder`;
  const bump = `INSERT INTO ${table} AS lease (key, claim, owner, version, expires, day)
VALUES (:key, :claim, :owner, ${now}, 0, ${today}) ON CONFLICT (key) DO UPDATE SET claim = excluded.claim,
  owner = excluded.owner, version = greatest(lease.version + 1, excluded.version), day = excluded.day
RETURNING version AS token`;
  const tell = (update: string) => told(name, notify, update);
  return {
    layout,
    stored: storedKey,
    schema: [
      `CREATE TABLE IF NOT EXISTS ${table} (
  key text COLLATE "C" PRIMARY KEY, -- the lock; the row without a key tells the layout
  claim text NOT NULL,              -- who has the lease; empty once it was given up
  owner text NOT NULL,              -- the label of that claim, for people
  version bigint NOT NULL,          -- the fencing token
  expires bigint NOT NULL,          -- when the lease ends, in microseconds since 1970
  day integer NOT NULL              -- of the last acquisition, in days since 1970
) WITH (fillfactor = 50)`,
      `CREATE INDEX IF NOT EXISTS "${name}_day" ON ${table} (day)`,
      `INSERT INTO ${table} (key, claim, owner, version, expires, day)
VALUES ('', '', 'layout of dlock', ${layout}, ${2n ** 63n - 1n}, 2147483647) ON CONFLICT DO NOTHING`,
    ],
    exists: tableExists(name),
    look: `SELECT version AS layout, ${now} AS clock FROM ${table} WHERE key = ''`,
    async take(run, bindings) {
      try {
        const [row] = (await run(take, bindings)).rows;
        const { token, clock, holder } = row as Readonly<Record<"token" | "holder", string | null> & { clock: string }>;
        return { token: token === null ? undefined : BigInt(token), clock: Number(clock), holder: holder ?? undefined };
      } catch (error) {
        // Somebody else inserts the row, and has yet to commit.
        if (codeOf(error) === lockNotAvailable) return {};
        throw error;
      }
    },
    async bump(run, bindings) {
      const [row] = (await run(bump, bindings)).rows;
      return BigInt(String(row?.["token"]));
    },
    renew: `WITH ${set("lock_timeout", "1s")}
UPDATE ${table} AS lease SET expires = ${now} + ${ttl} FROM setting
WHERE key = :key AND claim = :claim AND expires > ${now}`,
    raise: `UPDATE ${table} SET version = greatest(version, CAST(:floor AS bigint))
WHERE key = :key AND claim = :claim AND expires > ${now}`,
    // A crash of the server may undo it: the lease then ends by itself.
    giveUp: `WITH ${set("synchronous_commit", "off")}${tell(`
UPDATE ${table} AS lease SET claim = '', expires = 0 FROM setting WHERE key = :key AND claim = :claim`)}`,
    remaining: `SELECT key, (expires - ${now}) / 1000.0 AS remaining FROM ${table} WHERE key IN (:keys)`,
    holder: `SELECT claim, owner, version AS token, (expires - ${now}) / 1000.0 AS remaining FROM ${table}
WHERE key = :key AND claim <> '' AND expires > ${now}`,
    evict: `WITH ${set("lock_timeout", "1s")}${tell(`
UPDATE ${table} AS lease SET claim = '', expires = 0 FROM setting
WHERE key = :key AND claim = :claim AND version = CAST(:version AS bigint) AND expires > ${now}`)}`,
    sweep: `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table}
WHERE day < ${yesterday} AND version < ${dayAgo} AND expires < ${dayAgo} LIMIT 128 FOR UPDATE SKIP LOCKED)`,
    sweepFor: 2_000,
  };
}
