import { createConnection, createPool } from "mysql2/promise";
import type { Pool } from "mysql2/promise";
import type { Row, Session, Side } from "./database.js";

const patience = 5_000;

/** Looks at a MySQL or MariaDB server from the side. */
export class MysqlSide implements Side {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = createPool({
      uri: mysqlUrl(url),
      connectionLimit: 1,
      connectTimeout: patience,
      supportBigNumbers: true,
    });
  }

  async query(sql: string, params: readonly unknown[] = []): Promise<readonly Row[]> {
    const [rows] = await this.#pool.query({ sql, values: [...params], timeout: patience });
    return Array.isArray(rows) ? (rows as readonly Row[]) : [];
  }

  async sessions(): Promise<readonly Session[]> {
    const [self] = await this.query("select connection_id() as id");
    const behind = await this.query(
      "select trx_mysql_thread_id as id from information_schema.innodb_trx where trx_state = 'LOCK WAIT'",
    );
    const waiting = new Set(behind.map(({ id }) => Number(id)));
    return (await this.query("show full processlist"))
      .filter((row) => row["Id"] !== self?.["id"] && !/^(system user|event_scheduler)$/.test(String(row["User"])))
      .map((row) => ({
        id: Number(row["Id"]),
        application: String(row["User"]),
        state: String(row["State"] || row["Command"]),
        statement: typeof row["Info"] === "string" ? row["Info"] : "",
        // What the storage engine says is a moment old, and a wait for GET_LOCK is none of its waits.
        waits: row["Command"] !== "Sleep" && (waiting.has(Number(row["Id"])) || row["State"] === "User lock"),
      }));
  }

  async terminate(id: number): Promise<void> {
    await this.query("kill ?", [id]);
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** Whether a statement is answered at this URL. */
export async function answersMysql(url: string): Promise<boolean> {
  try {
    const connection = await createConnection({ uri: mysqlUrl(url), connectTimeout: 1_000 });
    connection.on("error", () => {});
    try {
      await connection.query({ sql: "select 1", timeout: 1_000 });
      return true;
    } finally {
      connection.destroy();
    }
  } catch {
    // Not listening yet, or still recovering.
    return false;
  }
}

/** As the driver wants it. */
const mysqlUrl = (url: string): string => url.replace(/^mariadb:/, "mysql:");
