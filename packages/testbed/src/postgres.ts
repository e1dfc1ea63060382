import { randomUUID } from "node:crypto";
import { lentUrl, software } from "./backend.js";
import { Database } from "./database.js";
import type { StartedDatabase } from "./database.js";
import { engineFor } from "./engine.js";
import type { Extras } from "./engine.js";
import { freePort, loopback } from "./port.js";
import { answersPostgres, PostgresSide } from "./postgres-side.js";
import { record } from "./record.js";
import { Server } from "./server.js";

/** Directives, as in postgresql.conf. */
export type PostgresConfig = Readonly<Record<string, string>>;

const defaults: PostgresConfig = {
  listen_addresses: loopback,
  unix_socket_directories: "",
  // What was committed survives SIGKILL: it was written to the files, if not to the disk.
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "16MB",
  // In files of its own folder, where nothing of it is left.
  dynamic_shared_memory_type: "mmap",
};

const setup = `
printf %s "$PASSWORD" > password
"$(dirname "$(readlink -f "$SERVER")")/initdb" -D db -U postgres -A password --pwfile=password -E UTF8 --locale=C --no-sync --no-instructions
`;

// A killed server leaves a small segment of shared memory, of which the system has but a few thousand; its number ends the seventh line.
const undo = `[ ! -f db/postmaster.pid ] || ipcrm -m "$(sed -n '7s/.* //p' db/postmaster.pid)"`;

/** The server lent by `DLOCK_TEST_POSTGRES_URL`, else one of our own. */
export async function openPostgres(): Promise<Database> {
  const lent = lentUrl("postgres");
  if (lent === undefined) return startPostgres();
  const postgres = new Database(lent, new PostgresSide(lent));
  await postgres.query("select 1");
  record("postgres", "lent by DLOCK_TEST_POSTGRES_URL");
  return postgres;
}

/** Starts one; its data survives `server.restart({ keepData: true })`. */
export async function startPostgres(config: PostgresConfig = {}, { clock }: Extras = {}): Promise<StartedDatabase> {
  const [port, password] = [await freePort(), randomUUID()];
  const url = `postgres://postgres:${password}@${loopback}:${port}/postgres`;
  const directives = Object.entries({ ...defaults, ...config, port: String(port) });
  const args = ["-D", "db", ...directives.flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const program = { software: software("postgres"), args, setup, undo, env: { PASSWORD: password }, clock };
  const server = await Server.start(await engineFor(program.software), program, () => answersPostgres(url));
  return new Database(url, new PostgresSide(url), server) as StartedDatabase;
}
