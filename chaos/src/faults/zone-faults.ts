import type { StartedDatabase } from "@dlock/testbed";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.js";
import type { Change, ChangingZone } from "../grounds/changing-zone.js";

type Query = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

export interface Watched {
  readonly database: StartedDatabase;
  /** The `name` of each of our tables, as a query. */
  readonly tables: string;
  /** The clock in UTC, as `ms`, as a query. */
  readonly clock: string;
}

/** ms before and after a change for which nobody gets at the tables. */
const [before, after] = [100, 20];

/** Statements are under way when the server's clock goes to summer time or back. Of a server that has this zone. */
export function changeFaults({ database, tables, clock }: Watched, zone: ChangingZone): readonly Fault[] {
  const query: Query = (sql) => database.query(sql);
  const shows = async (): Promise<number> => Number((await query(clock))[0]?.["ms"]);
  const at = (change: Change): Fault => ({
    name: change,
    sparesHolds: true,
    brief: true,
    async strike({ random }) {
      const names = (await query(tables)).map(({ name }) => `${String(name)} read`);
      const barrier = random.chance(0.5) ? `lock tables ${names.join(", ")}` : "flush tables with read lock";
      const now = await shows();
      const due = zone.next(change, now + 2 * before);
      await sleep(due - before - now);
      const ahead = await offset(query);
      await query(barrier);
      let waiting = 0;
      try {
        for (; (await shows()) < due + after; await sleep(5)) waiting = Math.max(waiting, await waits(query));
      } finally {
        await query("unlock tables");
      }
      if (Math.abs((await offset(query)) - ahead) < 3_000) throw new Error(`${change}, and the clock did not change`);
      return async () => waiting > 0;
    },
  });
  return [at("summer-time-ends"), at("summer-time-begins")];
}

/** The server gets another zone, which sessions have from then on, but for those that are there. */
export function zoneChanged(database: StartedDatabase): Fault {
  return {
    name: "zone-changed",
    endsConnections: true,
    async strike({ random }) {
      const zone = random.pick(["+05:30", "-08:00", "+00:00"]);
      await database.query(`set global time_zone = '${zone}'`);
      const ended = (await database.sessions()).filter(() => random.chance(0.5));
      for (const { id } of ended) await database.terminate(id);
      const heal = async (): Promise<boolean> => {
        await database.query("set global time_zone = 'SYSTEM'");
        return ended.length > 0;
      };
      return Object.assign(heal, { what: zone });
    },
  };
}

/** s by which local time is ahead of UTC. */
async function offset(query: Query): Promise<number> {
  const [row] = await query("select timestampdiff(second, utc_timestamp(), sysdate()) as s");
  return Number(row?.["s"]);
}

/** How many statements stand before the barrier. */
async function waits(query: Query): Promise<number> {
  const sessions = await query("show full processlist");
  return sessions.filter(({ State: state }) => String(state).startsWith("Waiting for")).length;
}
