import { randomUUID } from "node:crypto";
import { lentUrl, software } from "./backend.js";
import { Database } from "./database.js";
import type { StartedDatabase } from "./database.js";
import { engineFor } from "./engine.js";
import type { Extras } from "./engine.js";
import { answersMysql, MysqlSide } from "./mysql-side.js";
import { freePort, loopback } from "./port.js";
import { record } from "./record.js";
import { Server } from "./server.js";

/** Options of the server, as in my.cnf. */
export type MysqlConfig = Readonly<Record<string, string>>;
type Flavour = "mariadb" | "mysql";

const defaults: MysqlConfig = {
  "bind-address": loopback,
  // Relative to the data: a socket's path may not be long.
  socket: "socket",
  "skip-name-resolve": "ON",
  "skip-log-bin": "ON",
  "performance-schema": "OFF",
  "innodb-buffer-pool-size": "32M",
  // What was committed survives SIGKILL: it was written to the files, if not to the disk.
  "innodb-flush-log-at-trx-commit": "2",
  "innodb-doublewrite": "OFF",
};

const flavours = {
  mariadb: {
    initialize: `"$(dirname "$(readlink -f "$SERVER")")/../bin/mariadb-install-db" --no-defaults --datadir="$PWD/db" --tmpdir="$PWD/tmp" --skip-test-db`,
    config: { "innodb-log-file-size": "16M" },
  },
  mysql: {
    initialize: `"$SERVER" --no-defaults --datadir="$PWD/db" --tmpdir="$PWD/tmp" --initialize-insecure`,
    // The folder of the default is not everywhere.
    config: { mysqlx: "OFF", "secure-file-priv": "NULL" },
  },
} as const satisfies Record<Flavour, { initialize: string; config: MysqlConfig }>;

// The init file is run at every start, a statement a line. A server deletes all temporary tables in its folder for them when it starts,
// also those of its neighbours, which do not survive that.
const setup = (initialize: string): string => `
mkdir db tmp
${initialize}
cat > init.sql <<END
CREATE DATABASE IF NOT EXISTS dlock;
ALTER USER root@localhost IDENTIFIED BY '$PASSWORD';
CREATE USER IF NOT EXISTS dlock@'%' IDENTIFIED BY '$PASSWORD';
GRANT ALL ON *.* TO dlock@'%' WITH GRANT OPTION;
END
printf '[mysqld]\\ndatadir=%s\\ntmpdir=%s\\ninit-file=%s\\n' "$PWD/db" "$PWD/tmp" "$PWD/init.sql" > my.cnf
`;

/** The server lent by `DLOCK_TEST_MARIADB_URL`, else one of our own. */
export const openMariadb = (): Promise<Database> => open("mariadb");
/** The server lent by `DLOCK_TEST_MYSQL_URL`, else one of our own. */
export const openMysql = (): Promise<Database> => open("mysql");
/** Starts a MariaDB; its data survives `server.restart({ keepData: true })`. */
export const startMariadb = (config: MysqlConfig = {}, extras: Extras = {}): Promise<StartedDatabase> =>
  start("mariadb", config, extras);
/** Starts a MySQL; its data survives `server.restart({ keepData: true })`. */
export const startMysql = (config: MysqlConfig = {}, extras: Extras = {}): Promise<StartedDatabase> =>
  start("mysql", config, extras);

async function open(flavour: Flavour): Promise<Database> {
  const lent = lentUrl(flavour);
  if (lent === undefined) return start(flavour, {});
  const database = new Database(lent, new MysqlSide(lent));
  await database.query("select 1");
  record(flavour, `lent by DLOCK_TEST_${flavour.toUpperCase()}_URL`);
  return database;
}

async function start(flavour: Flavour, config: MysqlConfig, { clock, zone }: Extras = {}): Promise<StartedDatabase> {
  const [port, password] = [await freePort(), randomUUID()];
  const url = `${flavour}://dlock:${password}@${loopback}:${port}/dlock`;
  const options = Object.entries({ ...defaults, ...flavours[flavour].config, ...config, port: String(port) });
  const program = {
    software: software(flavour),
    args: ["--defaults-file=my.cnf", ...options.map(([name, value]) => `--${name}=${value}`)],
    setup: setup(flavours[flavour].initialize),
    env: { PASSWORD: password, ...(zone === undefined ? {} : { TZ: zone }) },
    clock,
  };
  const server = await Server.start(await engineFor(program.software), program, () => answersMysql(url));
  return new Database(url, new MysqlSide(url), server) as StartedDatabase;
}
