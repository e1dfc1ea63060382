import { type StartedDatabase, startMariadb, startMysql, startPgbouncer, startPostgres } from "@dlock/testbed";
import { clockFaults, idleClockFaults } from "../faults/clock-faults.js";
import { searchPathSet } from "../faults/search-path-set.js";
import { serverFaults } from "../faults/server-faults.js";
import { changeFaults, zoneChanged } from "../faults/zone-faults.js";
import type { Fault } from "../fault.js";
import type { Ground, OpenGround } from "../ground.js";
import { ChangingZone } from "./changing-zone.js";
import { Keeper } from "./keeper.js";
import { sqlResidue } from "./sql-residue.js";

interface Software {
  readonly start: (zone?: string) => Promise<StartedDatabase>;
  /** What its clock shows, as `ms`. */
  readonly clock: string;
  /** The same, in µs as in our tables. */
  readonly micros: string;
  /** The `name` of each of our tables. */
  readonly tables: string;
}

const micros = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))";
const mysql = {
  micros,
  clock: `select cast(${micros} / 1000 as double) as ms`,
  tables: "select table_name as name from information_schema.tables where table_name like 'dlock%'",
};
const software: Readonly<Record<"postgres" | "mariadb" | "mysql", Software>> = {
  postgres: {
    start: () => startPostgres({ max_connections: "200" }, { clock: true }),
    clock: "select cast(extract(epoch from clock_timestamp()) * 1000 as float8) as ms",
    micros: "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
    tables: "select schemaname || '.' || tablename as name from pg_tables where tablename like 'dlock%'",
  },
  mariadb: { start: (zone) => startMariadb({ "max-connections": "200" }, { clock: true, zone }), ...mysql },
  mysql: { start: (zone) => startMysql({ "max-connections": "200" }, { clock: true, zone }), ...mysql },
};

/** One server, and a strategy; `pooled`: by a pgbouncer, which hands out its sessions for a transaction each. */
export function databaseGround(
  name: keyof typeof software,
  strategy: "version" | "for-update" | "advisory",
  { pooled = false }: { readonly pooled?: boolean } = {},
): OpenGround {
  const { start, clock, micros, tables } = software[name];
  return async (workers: number): Promise<Ground> => {
    // PostgreSQL counts in UTC whatever the zone.
    const zone = name === "postgres" ? undefined : new ChangingZone();
    const database = await start(zone?.name);
    // A server that was away is asked again at once, and not after 15 seconds.
    const pooler = pooled ? await startPgbouncer(database, { server_login_retry: "0.1" }) : undefined;
    const keeper = pooler && new Keeper(pooler.server, "pgbouncer");
    const links = await Promise.all(Array.from({ length: workers }, () => (pooler ?? database).link()));
    const terminated: Fault = {
      name: "sessions-terminated",
      endsConnections: true,
      brief: true,
      async strike() {
        const sessions = await database.sessions();
        for (const { id } of sessions) await database.terminate(id);
        return async () => sessions.length > 0;
      },
    };
    const emptied: Fault = {
      name: "rows-deleted",
      forgets: true,
      losesTokens: true,
      brief: true,
      async strike() {
        let holds = 0;
        for (const table of await database.query(tables)) {
          const name = String(table["name"]);
          if (/_(leases|holders)$/.test(name))
            holds += (await database.query(`select claim from ${name} where claim <> ''`)).length;
          await database.query(`delete from ${name}`);
        }
        return async () => holds > 0;
      },
    };
    const shows = async (): Promise<number> => Number((await database.query(clock))[0]?.["ms"]);
    // Where connections live by timeouts, nothing depends on the clock. In PostgreSQL these cannot be tried: a signal that
    // comes while it waits has libfaketime show the time as it is, and timeouts come early or never.
    const clocked =
      strategy === "version"
        ? clockFaults({ server: database.server, shows })
        : name === "postgres"
          ? []
          : idleClockFaults(database.server, async () => ({ server: database.server, shows }));
    // In a container there is neither a clock that can be moved nor our zone.
    const zoned =
      zone && strategy === "version"
        ? [...(database.server.clock ? changeFaults({ database, tables, clock }, zone) : []), zoneChanged(database)]
        : [];
    const pathSet = pooler ? [searchPathSet(pooler.url, database)] : [];
    const poolerFaults = pooler ? serverFaults(() => pooler.server, { what: "pooler" }) : [];
    // So MySQL and MariaDB count the silence after which they end a connection, and its locks.
    const inSeconds = name !== "postgres" && strategy !== "version";
    const entry = (url: string) => ({ url, strategy });
    const sessions = async () =>
      (await database.sessions()).map(({ application, state, statement }) => `${application} ${state} ${statement}`);
    // Sessions behind a pooler are its own.
    const clients = async () =>
      ((await pooler?.show("clients")) ?? [])
        .filter(({ database: of }) => of !== "pgbouncer")
        .map(({ addr, port, state }) => `client ${String(addr)}:${String(port)} ${String(state)}`);
    return {
      name: [name, ...(strategy === "version" ? [] : [strategy]), ...(pooled ? ["pgbouncer"] : [])].join("-"),
      entries: links.map(({ url }) => entry(url)),
      ways: links,
      queues: true,
      side: entry(database.url),
      ttl: inSeconds ? 1_000 : 600,
      recovery: 6_000,
      // Its wait goes on in the server, and is over when a connection that is granted the lock then was silent for a ttl.
      deadWaiter: inSeconds ? 1_000 : 0,
      faults: [
        ...serverFaults(() => database.server, { loses: strategy === "version" ? "holds" : "tables" }),
        ...poolerFaults.map((fault) => keeper?.spare(fault) ?? fault),
        terminated,
        ...(strategy === "version" ? [emptied] : []),
        ...clocked,
        ...zoned,
        ...pathSet,
      ],
      residue: async () => [
        ...(await (pooler ? clients : sessions)()),
        ...(await sqlResidue((sql) => database.query(sql), tables, micros)),
      ],
      stop: async () => {
        await keeper?.stop();
        await pooler?.stop();
        await database.stop();
        zone?.remove();
      },
    };
  };
}
