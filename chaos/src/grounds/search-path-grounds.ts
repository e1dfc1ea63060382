import { startPgbouncer, startPostgres } from "@dlock/testbed";
import { Pool } from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import { searchPathSet } from "../faults/search-path-set.js";
import type { Ground } from "../ground.js";
import { sqlResidue } from "./sql-residue.js";

const micros = "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)";
const tables = "select schemaname || '.' || tablename as name from pg_tables where tablename like 'dlock%'";
const common = { ways: [], ttl: 600, recovery: 6_000, deadWaiter: 0 } as const;

/** The workers come under two roles, each of which has a schema of its own, that the default search path names first. */
export async function rolesGround(workers: number): Promise<Ground> {
  const database = await startPostgres({ max_connections: "200" });
  const roles = ["one", "other"];
  for (const role of roles) {
    await database.query(`create role ${role} superuser login password 'secret'`);
    await database.query(`create schema ${role} authorization ${role}`);
  }
  const urlOf = (role = ""): string => {
    const url = new URL(database.url);
    [url.username, url.password] = [role, "secret"];
    return url.href;
  };
  return {
    ...common,
    name: "postgres-roles",
    entries: Array.from({ length: workers }, (_, n) => ({ url: urlOf(roles[n % roles.length]) })),
    side: { url: database.url },
    faults: [],
    residue: async () => [
      ...(await database.sessions()).map(({ application, statement }) => `${application} ${statement}`),
      ...(await sqlResidue((sql) => database.query(sql), tables, micros)),
    ],
    stop: () => database.stop(),
  };
}

/** The workers lend a knex with a search path, behind a pooler whose few sessions another application uses as well. */
export async function searchPathGround(workers: number): Promise<Ground> {
  const database = await startPostgres({ max_connections: "200" });
  const schema = "tenant";
  await database.query(`create schema ${schema}`);
  const pooler = await startPgbouncer(database, { default_pool_size: "6" });
  const stopLoad = load(pooler.url);
  const lend = (connection: string) => ({ knex: { connection, searchPath: schema } });
  return {
    ...common,
    name: "postgres-search-path",
    entries: Array.from({ length: workers }, () => lend(pooler.url)),
    side: lend(database.url),
    faults: [searchPathSet(pooler.url, database)],
    residue: () => sqlResidue((sql) => database.query(sql), tables, micros),
    stop: async () => {
      await stopLoad();
      await pooler.stop();
      await database.stop();
    },
  };
}

/** Statements of somebody else, so that sessions change hands. Returns what ends them. */
function load(url: string): () => Promise<void> {
  const pool = new Pool({ connectionString: url, max: 4 });
  pool.on("error", () => {});
  let over = false;
  const ask = async (): Promise<void> => {
    while (!over) {
      await pool.query("select pg_sleep(random() / 30)").catch(() => {});
      await sleep(Math.random() * 30);
    }
  };
  const asking = [ask(), ask(), ask(), ask()];
  return async () => {
    over = true;
    await Promise.all(asking);
    await pool.end();
  };
}
