import { LockBackendError, LockConfigError } from "@dlock/core";
import { quoteName } from "./in-schema.js";
import { serverFailure } from "./server-failure.js";
import { storedKey } from "./stored-key.js";

/** A transaction of the application's knex, by the members used here: any copy of knex 3 will do. */
export interface ApplicationTransaction {
  readonly client: unknown;
  readonly isTransaction?: boolean | undefined;
  readonly executionPromise: Promise<unknown>;
  readonly parentTransaction?: ApplicationTransaction | undefined;
  isCompleted(): boolean;
}

export type Family = "postgres" | "mysql" | "sqlite";

/** What knex calls a client; that of a transaction has one connection, and refuses statements after its end. */
interface TransactionClient {
  readonly driverName?: string | undefined;
  readonly config: object;
  acquireConnection(): Promise<unknown>;
  query(
    connection: unknown,
    statement: { readonly sql: string; readonly bindings: readonly unknown[] },
  ): Promise<Answer>;
}

/** As the drivers left it: a lent knex may reshape what comes from the builder. */
interface Answer {
  readonly response?: unknown;
}

const families: Readonly<Record<string, Family>> = { pg: "postgres", mysql2: "mysql", "better-sqlite3": "sqlite" };

/** Runs statements in a transaction that is the application's. */
export class OwnTransaction {
  readonly family: Family;
  readonly #outermost: ApplicationTransaction;
  readonly #client: TransactionClient;

  constructor(trx: ApplicationTransaction) {
    const accepted = "an open transaction of a knex on pg, mysql2 or better-sqlite3";
    if (!trx?.isTransaction || trx.executionPromise === undefined) {
      throw new LockConfigError("trx", typeof trx === "function" ? "a knex" : trx, accepted);
    }
    if (trx.isCompleted()) throw new LockConfigError("trx", "a transaction that has ended", accepted);
    // Any copy of knex has it.
    this.#client = trx.client as TransactionClient;
    const family = families[String(this.#client.driverName)];
    if (family === undefined) throw new LockConfigError("trx", this.#client.driverName, accepted);
    this.family = family;
    while (trx.parentTransaction !== undefined) trx = trx.parentTransaction;
    this.#outermost = trx;
  }

  get client(): { readonly config: object } {
    return this.#client;
  }

  /** The transaction that savepoints are in, for identity. */
  get outermost(): object {
    return this.#outermost;
  }

  /** Settles when it was committed or rolled back; a savepoint, with the transaction around it. */
  get ended(): Promise<void> {
    return this.#outermost.executionPromise.then(
      () => {},
      () => {},
    );
  }

  /** A key as the tables of this database have it: bytes on MySQL, whatever character set the connection has. */
  stored(key: string): unknown {
    if (this.family === "sqlite") return key;
    return this.family === "mysql" ? Buffer.from(storedKey(key)) : storedKey(key);
  }

  /** A name for a statement of `count`. */
  quote(name: string): string {
    return quoteName(this.family === "mysql" ? "mysql" : "postgres", name);
  }

  /** The driver's connection. */
  connection(): Promise<unknown> {
    return this.#client.acquireConnection();
  }

  /** How many rows the statement found or wrote. Placeholders are `?`. Rejects with an error of dlock. */
  async count(sql: string, bindings: readonly unknown[] = []): Promise<number> {
    return counts[this.family](await this.#query(sql, bindings));
  }

  /**
   * Refuses a transaction that may only read, or whose role may not lock rows of the table. Asked beforehand: a statement that is
   * refused would be the end of a transaction on PostgreSQL. On the others it is the end of the statement.
   */
  async checkRights(schema: string, table: string): Promise<void> {
    if (this.family !== "postgres") return;
    const sql = `SELECT CAST(current_user AS pg_catalog.text) AS role, pg_catalog.current_setting('transaction_read_only') AS reads,
  pg_catalog.has_schema_privilege(space.oid, 'USAGE') AND pg_catalog.has_table_privilege(class.oid, 'SELECT')
    AND pg_catalog.has_table_privilege(class.oid, 'UPDATE') AS may
FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
WHERE space.nspname = ? AND class.relname = ?`;
    const { rows } = (await this.#query(sql, [schema, table])) as { readonly rows: readonly Right[] };
    const [right] = rows;
    if (right?.reads === "on") throw new LockConfigError("trx", "read only", "a transaction that may write");
    if (right?.may === true || right?.may === "t") return;
    const where = `${schema}.${table}`;
    if (right === undefined)
      throw new LockBackendError(`${where} is not there any more`, { retryable: true, noEffect: true });
    const accepted = `a role that may use it: GRANT USAGE ON SCHEMA, and SELECT, UPDATE ON ${where}, or take the lock before SET ROLE`;
    throw new LockConfigError("trx", `role ${right.role}`, accepted);
  }

  /** Refuses a transaction that, having waited for its lock, would not see what the holder before it committed. */
  async checkIsolation(): Promise<void> {
    // MySQL takes the snapshot at the first plain read, not when it waits for a lock.
    if (this.family !== "postgres") return;
    const { rows } = (await this.#query("SHOW transaction_isolation", [])) as { readonly rows: readonly object[] };
    const level = Object.values(rows[0] ?? {})[0] as unknown;
    if (level === "read committed") return;
    throw new LockConfigError("trx", level, "a transaction at READ COMMITTED, as this strategy waits inside of it");
  }

  async #query(sql: string, bindings: readonly unknown[]): Promise<unknown> {
    try {
      const { response } = await this.#client.query(await this.#client.acquireConnection(), { sql, bindings });
      return response;
    } catch (error) {
      // It is not for us to try again in a transaction that may be over.
      const failure = serverFailure(error, "the transaction");
      if (failure instanceof LockConfigError) throw failure;
      const { message, noEffect } = failure as LockBackendError;
      throw new LockBackendError(message, { cause: error, noEffect });
    }
  }
}

interface Right {
  readonly role: string;
  /** `on`: it may only read. */
  readonly reads: string;
  /** As the application's parsers leave it. */
  readonly may: unknown;
}

const counts: Readonly<Record<Family, (response: unknown) => number>> = {
  postgres: (result) => (result as { readonly rowCount: number | null }).rowCount ?? 0,
  mysql: (result) => {
    const [answer] = result as readonly [readonly unknown[] | { readonly affectedRows: number }];
    return "affectedRows" in answer ? answer.affectedRows : answer.length;
  },
  sqlite: (result) => (Array.isArray(result) ? result.length : (result as { readonly changes: number }).changes),
};
