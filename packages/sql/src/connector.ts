import { LockBackendError, LockClosedError, settleBy } from "@dlock/core";
import { Connection } from "./connection.js";
import { Executioner } from "./executioner.js";
import { type MysqlDriver, MysqlWire } from "./mysql-wire.js";
import { type PgDriver, PostgresWire } from "./postgres-wire.js";
import { serverFailure } from "./server-failure.js";
import type { ServerSource } from "./server-source.js";
import { mysqlSession, postgresSession, type Session, type SessionName, type SessionTerms } from "./session.js";

type Dialect = "postgres" | "mysql" | "mariadb";

/** A connection and what it leads to. */
export interface Opened {
  readonly connection: Connection;
  readonly dialect: Dialect;
  /** major * 10 000 + minor * 100 + patch; PostgreSQL: as server_version_num. */
  readonly version: number;
  /** false: a pooler stands between. Nothing was set in its session then, which may be anybody's. */
  readonly direct: boolean;
  readonly name: SessionName;
}

type Look = (opened: Opened, deadline: number) => Promise<void>;

/** Opens connections of our own to one server. */
export class Connector {
  readonly source: ServerSource;
  readonly session: Session;
  readonly #open = new Set<Connection>();
  readonly #executioner: Executioner;
  readonly #look: Look;
  #closed = false;

  /** `look` may look at what was opened, and refuse it. */
  constructor(source: ServerSource, look: Look = async () => {}) {
    this.source = source;
    this.#look = look;
    this.session = source.family === "postgres" ? postgresSession : mysqlSession;
    this.#executioner = new Executioner(this.session, async (deadline) => (await this.#connect(deadline)).connection);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Settles by `deadline` (monotonic ms). Rejects with an error of dlock: nothing is left open. */
  async open(deadline: number, terms: SessionTerms = {}): Promise<Opened> {
    if (this.#closed) throw new LockClosedError();
    const { connection, wire } = await this.#connect(deadline);
    this.#open.add(connection);
    connection.lost.addEventListener("abort", () => this.#open.delete(connection));
    try {
      const opened = await this.#settle(connection, wire, deadline, terms);
      await this.#look(opened, deadline);
      if (this.#closed) throw new LockClosedError();
      return opened;
    } catch (error) {
      void connection.destroy(error);
      throw serverFailure(error, this.source.value, true);
    }
  }

  /** Resolves when the server says that the session is over: whatever it held is free. */
  end(name: SessionName): Promise<void> {
    return this.#executioner.end(name);
  }

  /** Ends every connection it opened. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }

  async #connect(deadline: number): Promise<{ readonly connection: Connection; readonly wire: AnyWire }> {
    const { family, driver, value } = this.source;
    let wire: AnyWire | undefined;
    let late = false;
    const connecting = async () => {
      const settings = await this.source.settings();
      if (late) throw this.#silent();
      wire =
        family === "postgres"
          ? new PostgresWire(driver as PgDriver, { ...settings, ...postgresDriver })
          : new MysqlWire(driver as MysqlDriver, { ...settings, ...mysqlDriver });
      await wire.connect();
      return { wire, connection: new Connection(wire, value) };
    };
    try {
      return await settleBy(connecting, deadline, () => this.#silent(), { background: false });
    } catch (error) {
      late = true;
      wire?.destroy();
      throw serverFailure(error, value, true);
    }
  }

  async #settle(connection: Connection, wire: AnyWire, deadline: number, terms: SessionTerms): Promise<Opened> {
    const [found] = (await connection.run(this.session.ask, [], deadline)).rows;
    const name = { backend: String(found?.["backend"]), mark: String(found?.["mark"]) };
    const direct = name.backend === String(wire.backend);
    const banner = String(found?.["version"]);
    const postgres = this.source.family === "postgres";
    const dialect = postgres ? "postgres" : /mariadb/i.test(banner) ? "mariadb" : "mysql";
    const version = postgres ? Number(banner) : versionOf(banner);
    // What it sets would stay in a session that a pooler of PostgreSQL lends to strangers next.
    if (direct || !postgres) await this.#prepare(wire, deadline);
    if (direct) {
      if (wire instanceof MysqlWire) wire.kill = () => this.end(name);
      await connection.run(this.session.set(terms, { dialect, version }), [], deadline);
      for (const sql of this.session.attempt(terms, { dialect, version })) {
        // Not every platform offers it.
        await connection.run(sql, [], deadline).catch((error: unknown) => {
          if (connection.lost.aborted) throw error;
        });
      }
    }
    return { connection, dialect, version, direct, name };
  }

  async #prepare(wire: AnyWire, deadline: number): Promise<void> {
    const preparing = async () => this.source.prepare?.(wire.raw);
    await settleBy(preparing, deadline, () => this.#silent(), { background: false });
  }

  #silent(): LockBackendError {
    return new LockBackendError(`${this.source.value} did not answer in time`, { retryable: true, noEffect: true });
  }
}

type AnyWire = PostgresWire | MysqlWire;

const keepAlive = 10_000;
const postgresDriver = { keepAlive: true, keepAliveInitialDelayMillis: keepAlive, pipeline: false };
/** Whatever an application likes to change about values, statements are written for these. */
const mysqlDriver = {
  charset: "utf8mb4",
  enableKeepAlive: true,
  keepAliveInitialDelay: keepAlive,
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  typeCast: true,
  rowsAsArray: false,
  nestTables: false,
  namedPlaceholders: false,
  multipleStatements: false,
  flags: [],
};

function versionOf(banner: string): number {
  const found = /\d+\.\d+\.\d+/.exec(banner.replace(/^5\.5\.5-/, ""))?.[0] ?? "";
  const [major = 0, minor = 0, patch = 0] = found.split(".").map(Number);
  return major * 10_000 + minor * 100 + patch;
}
