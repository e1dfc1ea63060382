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

/** PostgreSQL: the lock was waited for as long as a statement may. */
const lockNotAvailable = "55P03";
/** ms that preparing a statement may take. */
const preparation = 5_000;
/** SKIP LOCKED is younger than some servers. */
const oldest = { postgres: 90_600, mysql: 80_001, mariadb: 100_600 } as const;

/** A PostgreSQL, MySQL or MariaDB server, on a few connections of our own. */
export class ServerDatabase implements Database {
  readonly #connector: Connector;
  readonly #location: TableLocation;
  readonly #pool: Pool;
  readonly #urgent: readonly (readonly [sql: string, Bindings])[];
  readonly #prepared = new WeakSet<Opened>();

  /** `urgent`: statements without a round trip to lose. MySQL's drivers prepare each on its first use of a connection, which costs one. */
  constructor(
    connector: Connector,
    location: TableLocation,
    connections: number,
    urgent: readonly (readonly [sql: string, Bindings])[] = [],
  ) {
    this.#connector = connector;
    this.#location = location;
    this.#pool = new Pool(connector, connections, {}, (opened) => this.#prepare(opened));
    this.#urgent = connector.source.family === "mysql" ? urgent : [];
  }

  query(sql: string, bindings: Bindings, patience: Patience): Promise<Reply> {
    return this.#use(patience, async (opened) => {
      const schema = await this.#location.find(opened, patience.until);
      // A statement that was sent is let come to its end: to cancel it would cost a connection.
      const reply = await this.#run(opened, schema, sql, bindings, patience.until);
      // Behind the statement with which the tables were found.
      void this.#prepare(opened);
      return reply;
    });
  }

  async create(statements: readonly string[], patience: Patience): Promise<void> {
    const wasFound = this.#location.found;
    for (;;) {
      try {
        return await this.#use(patience, async (opened) => {
          // Another call of this process was faster.
          if (this.#location.found && !wasFound) return;
          await this.#location.create(opened, statements, patience.until);
        });
      } catch (error) {
        // Many came first, and each waits for those before it.
        if (codeOf(error) !== lockNotAvailable || monotonicNow() >= patience.until) throw error;
      }
    }
  }

  close(): Promise<void> {
    return this.#connector.close();
  }

  #run(opened: Opened, schema: string, sql: string, bindings: Bindings, until: number): Promise<Reply> {
    const { text, values } = bound(this.#connector.source.family, sql, bindings, schema);
    return opened.connection.run(textFor(opened, text), values, until);
  }

  /** As soon as it is known where the tables are. How it goes does not matter. */
  async #prepare(opened: Opened): Promise<void> {
    if (!this.#location.found || this.#prepared.has(opened)) return;
    this.#prepared.add(opened);
    const { schema } = this.#location;
    const until = monotonicNow() + preparation;
    await Promise.allSettled(this.#urgent.map(([sql, bindings]) => this.#run(opened, schema, sql, bindings, until)));
  }

  async #use<Value>(patience: Patience, work: (opened: Opened) => Promise<Value>): Promise<Value> {
    for (let collided = 0; ; collided++) {
      try {
        return await this.#pool.use(patience, (opened) => {
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
