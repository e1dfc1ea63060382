import { type FencingToken, type HolderStatus, monotonicNow, type Signal } from "@dlock/core";
import { bound } from "./bound.js";
import type { Bindings, Patience, Reply } from "./database.js";
import type { Connector } from "./connector.js";
import type { Run, ServerDialect } from "./dialect.js";
import type { Wanted } from "./exclusion.js";
import { inSchema, quoteName } from "./in-schema.js";
import { LeaseTable } from "./lease-table.js";
import type { LockSession } from "./lock-session.js";
import { mysqlDialect } from "./mysql-dialect.js";
import { postgresDialect } from "./postgres-dialect.js";
import { ServerDatabase } from "./server-database.js";
import { codeOf } from "./server-failure.js";
import type { TableLocation } from "./table-location.js";

/** Statements beside the locks are few and short. */
const connections = 2;

/** One that locks need beside that of the leases. */
export interface OwnTable {
  readonly name: string;
  readonly schema: readonly string[];
}

const dialects = { postgres: postgresDialect, mysql: mysqlDialect } as const;

/** The table of leases, as a counter of tokens for locks that do not live in it. */
export class Counters {
  readonly family: "postgres" | "mysql";
  readonly #location: TableLocation;
  readonly #database: ServerDatabase;
  readonly #dialect: ServerDialect;
  readonly #table: LeaseTable;
  readonly #name: string;
  readonly #more: readonly OwnTable[];
  #ready = false;

  constructor(connector: Connector, location: TableLocation, more: readonly OwnTable[] = []) {
    const { table } = location;
    this.family = connector.source.family;
    this.#location = location;
    this.#database = new ServerDatabase(connector, location, connections);
    this.#dialect = dialects[this.family](table);
    this.#table = new LeaseTable(this.#database, this.#dialect, table);
    this.#name = `${inSchema}${quoteName(this.family, table)}`;
    this.#more = more;
  }

  stored(key: string): string {
    return this.#dialect.stored(key);
  }

  async create(patience: Patience): Promise<void> {
    await this.#table.create(patience);
    for (const { schema } of this.#more) await this.#database.create(schema, patience);
    this.#ready = true;
  }

  async prepare(patience: Patience): Promise<void> {
    if (this.#ready) return;
    await this.#table.prepare(patience);
    for (const table of this.#more) await this.#ensure(table, patience);
    this.#ready = true;
  }

  /** Whatever an error says about the tables, the next one to prepare finds out. */
  doubt(error: unknown): void {
    if (isMissing(error)) this.#ready = false;
  }

  /** An autocommit statement beside the locks. */
  query(sql: string, bindings: Bindings, until: number): Promise<Reply> {
    return this.#whole(() => this.#database.query(sql, bindings, { until }), until);
  }

  /** The next token, committed at once: drawn in the transaction of the lock it would be given again after a rollback. */
  draw({ key, claim, owner }: Wanted, until: number): Promise<FencingToken> {
    return this.#draw((sql, bindings) => this.#database.query(sql, bindings, { until }), { key, claim, owner }, until);
  }

  /** The same, on the session of the lock. */
  drawOn(session: LockSession, { key, claim, owner }: Wanted, until: number): Promise<FencingToken> {
    return this.#draw((sql, bindings) => this.on(session, sql, bindings, until), { key, claim, owner }, until);
  }

  /** A statement on the session of a lock. */
  on(session: LockSession, sql: string, bindings: Bindings, until: number, signal?: Signal): Promise<Reply> {
    const { text, values } = bound(this.family, sql, bindings, this.#location.schema);
    return session.run(text, values, until, signal);
  }

  /** For a claim that holds: every later token exceeds the floor, whoever drew the last one: one who died may have drawn it late. */
  async raise(wanted: Wanted, floor: FencingToken): Promise<void> {
    const cast = this.family === "postgres" ? "CAST(:floor AS bigint)" : "CAST(:floor AS SIGNED)";
    const sql = `UPDATE ${this.#name} SET version = greatest(version, ${cast}) WHERE ${this.#column} = :key`;
    const raise = () => this.query(sql, { key: this.stored(wanted.key), floor: String(floor) }, soon());
    if ((await raise()).affected > 0) return;
    // Tidied away during a hold of days.
    await this.draw(wanted, soon());
    await raise();
  }

  /** Whoever drew the last token, if he has the lock alone. */
  async last(key: string): Promise<HolderStatus | undefined> {
    const sql = `SELECT owner, version AS token FROM ${this.#name} WHERE ${this.#column} = :key`;
    const [row] = (await this.query(sql, { key: this.stored(key) }, soon())).rows;
    if (row === undefined) return undefined;
    return { owner: String(row["owner"]), mode: "exclusive", fencingToken: BigInt(String(row["token"])) };
  }

  get #column(): string {
    return this.family === "postgres" ? "key" : "`key`";
  }

  /** PostgreSQL refuses to create what is there to whoever has no right to create anything. */
  async #ensure({ name, schema }: OwnTable, patience: Patience): Promise<void> {
    const { rows } = await this.#database.query(dialects[this.family](name).exists, {}, patience);
    if (rows.length > 0) return;
    await this.#database.create(schema, patience);
  }

  #draw(run: Run, { key, claim, owner }: Omit<Wanted, "id" | "mode">, until: number): Promise<FencingToken> {
    return this.#whole(() => this.#dialect.bump(run, { key: this.stored(key), claim, owner }), until);
  }

  /** Creates the tables when they turn out to be missing: a server may be another one, or empty, after its restart. */
  async #whole<Value>(work: () => Promise<Value>, until: number): Promise<Value> {
    await this.prepare({ until });
    try {
      return await work();
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.create({ until });
      return await work();
    }
  }
}

/** As long as core waits for a backend by default. */
export function soon(): number {
  return monotonicNow() + 10_000;
}

/** The table is not there; the statement did nothing. */
function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "42P01" || code === 1146;
}
