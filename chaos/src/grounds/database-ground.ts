import { type StartedDatabase, startMariadb, startPostgres } from "@dlock/testbed";
import { clockFaults } from "../faults/clock-faults.js";
import { serverFaults } from "../faults/server-faults.js";
import type { Fault } from "../fault.js";
import type { Ground, OpenGround } from "../ground.js";

const software = {
  postgres: {
    start: (): Promise<StartedDatabase> => startPostgres({ max_connections: "200" }, { clock: true }),
    clock: "select cast(extract(epoch from clock_timestamp()) * 1000 as float8) as ms",
    tables: "select tablename as name from pg_tables where tablename like 'dlock%'",
  },
  mariadb: {
    start: (): Promise<StartedDatabase> => startMariadb({ "max-connections": "200" }, { clock: true }),
    clock: "select cast(unix_timestamp(sysdate(6)) * 1000 as double) as ms",
    tables: "select table_name as name from information_schema.tables where table_name like 'dlock%'",
  },
};

/** One server, and a strategy. */
export function databaseGround(
  name: keyof typeof software,
  strategy: "version" | "for-update" | "advisory",
): OpenGround {
  const { start, clock, tables } = software[name];
  return async (workers: number): Promise<Ground> => {
    const database = await start();
    const links = await Promise.all(Array.from({ length: workers }, () => database.link()));
    const terminated: Fault = {
      name: "sessions-terminated",
      brief: true,
      async strike() {
        for (const { id } of await database.sessions()) await database.terminate(id);
        return async () => {};
      },
    };
    const emptied: Fault = {
      name: "rows-deleted",
      forgets: true,
      brief: true,
      async strike() {
        for (const table of await database.query(tables)) await database.query(`delete from ${String(table["name"])}`);
        return async () => {};
      },
    };
    const shows = async (): Promise<number> => Number((await database.query(clock))[0]?.["ms"]);
    const entry = (url: string) => ({ url, strategy });
    return {
      name: strategy === "version" ? name : `${name}-${strategy}`,
      entries: links.map(({ url }) => entry(url)),
      ways: links,
      side: entry(database.url),
      ttl: 600,
      recovery: 6_000,
      deadWaiter: 0,
      faults: [
        ...serverFaults(() => database.server, { wipe: false }),
        terminated,
        ...clockFaults({ server: database.server, shows }),
        ...(strategy === "version" ? [emptied] : []),
      ],
      // Rows of free keys stay for a day, so that their tokens go on from there.
      residue: async () =>
        (await database.sessions()).map(({ application, state, statement }) => `${application} ${state} ${statement}`),
      stop: () => database.stop(),
    };
  };
}
