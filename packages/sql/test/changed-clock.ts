import { type MysqlConfig, type StartedDatabase, startMariadb, startMysql, startPostgres } from "@dlock/testbed";
import { createConnection, type Connection } from "mysql2/promise";
import { onTestFinished } from "vitest";
import { micros, type ServerName } from "./server.js";
import { sleep } from "./store.js";

/** When clocks in Berlin go back from 03:00 to 02:00, and forward from 02:00 to 03:00. */
export const changes = {
  "summer time ends": Date.parse("2027-10-31T01:00:00Z"),
  "summer time begins": Date.parse("2027-03-28T01:00:00Z"),
} as const;
export type Change = keyof typeof changes;

/** What keeps a statement on its way until `leave`, however it waits. */
export const obstacles = {
  "a table that is locked": { enter: (table: string) => `LOCK TABLES ${table} READ`, leave: "UNLOCK TABLES" },
  "a server that is locked for a backup": { enter: () => "FLUSH TABLES WITH READ LOCK", leave: "UNLOCK TABLES" },
} as const;

/** A server in Berlin, whose clock can be moved where that can be had. */
export function startInBerlin(name: ServerName, config: MysqlConfig = {}): Promise<StartedDatabase> {
  if (name === "postgres") return startPostgres({ timezone: "Europe/Berlin" }, { clock: true });
  return (name === "mariadb" ? startMariadb : startMysql)(config, { clock: true, zone: "Europe/Berlin" });
}

/** The server's time in Unix ms, by no zone. */
export async function timeOf(database: StartedDatabase): Promise<number> {
  const postgres = database.url.startsWith("postgres");
  const [row] = await database.query(`SELECT ${micros({ postgres })} AS micros`);
  return Number(row?.["micros"]) / 1_000;
}

/** Sets the server's clock to so many ms before a change. */
export async function setBefore(database: StartedDatabase, change: Change, ms: number): Promise<void> {
  database.server.clock?.move(changes[change] - ms - (await timeOf(database)));
}

/** Keeps what `send` sends on its way from just before the change until after it. Returns the server's time when it went on. */
export async function acrossChange(
  database: StartedDatabase,
  change: Change,
  [enter, leave]: readonly [string, string],
  send: () => void,
): Promise<number> {
  const admin = await administrator(database);
  await setBefore(database, change, 250);
  await admin.query(enter);
  send();
  // Less than statements wait for a lock.
  await sleep(500);
  const time = await timeOf(database);
  await admin.query(leave);
  return time;
}

async function administrator({ url }: StartedDatabase): Promise<Connection> {
  const connection = await createConnection(url.replace(/^mariadb:/, "mysql:"));
  onTestFinished(() => connection.end());
  return connection;
}
