import { LockConfigError, monotonicNow, pause } from "@dlock/core";
import { bound } from "./bound.js";
import type { Bindings, Database, Patience, Reply } from "./database.js";
import type { Connector, Opened } from "./connector.js";
import { Pool } from "./pool.js";
import { codeOf } from "./server-failure.js";
import { inUtc } from "./session.js";
import type { TableLocation } from "./table-location.js";

/** What a server refuses to one of several statements that met, having done nothing: the same statement will do at once. */
const collisions: ReadonlySet<unknown> = new Set([
  // PostgreSQL: serialization, deadlock, and what creating a table twice at the same time comes to.
  "40001",
  "40P01",
  "23505",
  "42P07",
  "42710",
  // MySQL and MariaDB: deadlock, and a row that changed after the snapshot.
  1213,
  1020,
]);

/** SKIP LOCKED is younger than some servers. */
const oldest = { postgres: 90_600, mysql: 80_001, mariadb: 100_600 } as const;

/** A PostgreSQL, MySQL or MariaDB server, on a few connections of our own. */
export class ServerDatabase implements Database {
  readonly #connector: Connector;
  readonly #location: TableLocation;
  readonly #pool: Pool;

  constructor(connector: Connector, location: TableLocation, connections: number) {
    this.#connector = connector;
    this.#location = location;
    this.#pool = new Pool(connector, connections);
  }

  query(sql: string, bindings: Bindings, patience: Patience): Promise<Reply> {
    return this.#use(patience, async (opened) => {
      const schema = await this.#location.find(opened, patience.until);
      const { text, values } = bound(this.#connector.source.family, sql, bindings, schema);
      // A statement that was sent is let come to its end: to cancel it would cost a connection.
      return opened.connection.run(textFor(opened, text), values, patience.until);
    });
  }

  create(statements: readonly string[], patience: Patience): Promise<void> {
    return this.#use(patience, (opened) => this.#location.create(opened, statements, patience.until));
  }

  close(): Promise<void> {
    return this.#connector.close();
  }

  async #use<Value>(patience: Patience, work: (opened: Opened) => Promise<Value>): Promise<Value> {
    for (let collided = 0; ; collided++) {
      try {
        return await this.#pool.use(patience.until, patience.signal, (opened) => {
          checkVersion(opened);
          return work(opened);
        });
      } catch (error) {
        if (!collisions.has(codeOf(error)) || monotonicNow() >= patience.until) throw error;
        await pause(Math.random() * Math.min(2 ** collided, 64), { background: false });
      }
    }
  }
}

/** Behind a pooler nothing was set in the session, which then has the zone of whoever used it before. */
function textFor({ direct, dialect }: Opened, text: string): string {
  return direct || dialect === "postgres" ? text : inUtc(dialect, text);
}

function checkVersion({ dialect, version }: Opened): void {
  if (version >= oldest[dialect]) return;
  const [major, minor] = dialect === "postgres" ? [9, 6] : dialect === "mysql" ? [8, 0] : [10, 6];
  throw new LockConfigError("database", `${dialect} ${version}`, `${dialect} ${major}.${minor} or later`);
}
