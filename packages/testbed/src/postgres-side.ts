import { Client, Pool } from "pg";
import type { Row, Session, Side } from "./database.js";

const application = "dlock-testbed";
const patience = 5_000;

/** Looks at a Postgres server from the side. */
export class PostgresSide implements Side {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool({
      connectionString: url,
      application_name: application,
      max: 1,
      allowExitOnIdle: true,
      connectionTimeoutMillis: patience,
      query_timeout: patience,
    });
    this.#pool.on("error", () => {});
  }

  async query(sql: string, params: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.#pool.query<Row>(sql, [...params])).rows;
  }

  async sessions(): Promise<readonly Session[]> {
    const rows = await this.query(
      `select pid as id, application_name as application, state, query as statement,
              coalesce(wait_event_type = 'Lock', false) as waits
       from pg_stat_activity
       where backend_type = 'client backend' and datname = current_database() and application_name <> $1`,
      [application],
    );
    return rows as unknown as readonly Session[]; // The columns are the fields.
  }

  async terminate(id: number): Promise<void> {
    await this.query("select pg_terminate_backend($1)", [id]);
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** Whether a statement is answered at this URL. */
export async function answersPostgres(url: string, statement = "select 1"): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000, query_timeout: 1_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query(statement);
    return true;
  } catch {
    // Not listening yet, or still recovering.
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
