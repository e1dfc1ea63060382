import type { StartedDatabase } from "@dlock/testbed";
import { Client } from "pg";
import type { Fault } from "../fault.js";

const sessions = 8;

/** Another application behind the same pooler sets a search path, which stays in the sessions that it gets, whoever has them next. */
export function searchPathSet(pooler: string, database: StartedDatabase): Fault {
  return {
    name: "search-path-set",
    async strike() {
      await database.query("create schema if not exists elsewhere");
      const touched = new Set((await everywhere(pooler, "set search_path to elsewhere")).map(String));
      return async () => {
        const users = await database.sessions();
        await everywhere(pooler, "reset search_path");
        // Of those, some have run a statement of ours since.
        return users.some(({ id, statement }) => touched.has(String(id)) && statement.includes("dlock"));
      };
    },
  };
}

/** Runs a statement in several sessions of the pooler at the same time; resolves with the processes that serve them. */
async function everywhere(pooler: string, statement: string): Promise<readonly unknown[]> {
  const clients = Array.from({ length: sessions }, () => new Client({ connectionString: pooler }));
  const visits = clients.map(async (client) => {
    client.on("error", () => {});
    await client.connect();
    await client.query("begin");
    await client.query(statement);
    // All of them are in a transaction by then, each in a session of its own.
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid from pg_sleep(0.1)");
    await client.query("commit");
    return rows[0]?.pid;
  });
  try {
    return await Promise.all(visits);
  } finally {
    await Promise.allSettled(clients.map((client) => client.end()));
  }
}
