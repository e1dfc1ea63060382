import type { Reply, Row, Wire } from "./connection.js";

/** What is used of the module `mysql2`. */
export interface MysqlDriver {
  createConnection(settings: object): MysqlClient;
}

interface MysqlClient {
  readonly threadId: number | null;
  readonly stream: { destroy(): void; on(event: "close", listener: () => void): unknown };
  connect(done: (error: unknown) => void): void;
  query(query: object, done: Done): unknown;
  execute(query: object, values: readonly unknown[], done: Done): unknown;
  end(done: () => void): void;
  destroy(): void;
  on(event: "error" | "end", listener: (error?: unknown) => void): unknown;
}

type Done = (error: unknown, result?: unknown) => void;

export class MysqlWire implements Wire {
  readonly #client: MysqlClient;
  #ended: unknown;
  /** Ends this session from the side; none until it is known which one it is, and no pooler's. */
  kill: (() => Promise<void>) | undefined;

  constructor(driver: MysqlDriver, settings: object) {
    this.#client = driver.createConnection(settings);
    // An error without a listener would end the process.
    this.#client.on("error", (error) => (this.#ended ??= error));
  }

  /** The driver's own, for what a lent knex does to its connections. */
  get raw(): unknown {
    return this.#client;
  }

  /** As the server named the session when it let us in. */
  get backend(): number | null {
    return this.#client.threadId;
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.connect((error) => (error ? reject(error) : resolve()));
    });
  }

  query(sql: string, bindings: readonly unknown[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const done: Done = (error, result) => (error ? reject(error) : resolve(replyOf(result)));
      // The server binds: escaping here would depend on its sql_mode. Some statements cannot be prepared; they bind nothing.
      if (bindings.length === 0) this.#client.query({ sql }, done);
      else this.#client.execute({ sql }, bindings, done);
    });
  }

  /** A session that is given up in the middle of a statement would go on until a lock wait of it ends. */
  async cancel(): Promise<void> {
    // Without it the server ends the session when a lock wait of it does.
    await this.kill?.().catch(() => {});
  }

  end(): Promise<void> {
    return new Promise((resolve) => this.#client.end(() => resolve()));
  }

  destroy(): void {
    this.#client.destroy();
    // The driver would leave it half open.
    this.#client.stream.destroy();
  }

  onEnd(ended: (reason: unknown) => void): void {
    const end = () => ended(this.#ended ?? new Error("the connection ended"));
    this.#client.on("end", end);
    this.#client.on("error", ended);
    // A reset in the middle of a statement is told to the statement alone, after which the driver keeps still.
    this.#client.stream.on("close", end);
  }
}

function replyOf(result: unknown): Reply {
  if (Array.isArray(result)) return { rows: result as Row[], affected: result.length };
  const { affectedRows, insertId } = result as { readonly affectedRows: number; readonly insertId: number | string };
  return { rows: [], affected: affectedRows, insertId: BigInt(insertId) };
}
