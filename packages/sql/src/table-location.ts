import { LockConfigError, type ProviderContext } from "@dlock/core";
import { advisoryNumber } from "./advisory.js";
import { bound } from "./bound.js";
import type { Opened } from "./connector.js";
import type { Bindings, Row } from "./database.js";
import { locateInMysql } from "./mysql-location.js";
import { locateInPostgres } from "./postgres-location.js";
import { checkSchema } from "./schema-name.js";
import { codeOf } from "./server-failure.js";
import type { ServerSource } from "./server-source.js";

interface Terms {
  readonly table: string;
  /** As it was asked for, if it was. */
  readonly schema: string | undefined;
  readonly emit: ProviderContext["emit"];
}

export interface Located {
  readonly schema: string;
  /** Whether the table is there; if not, that is where it belongs. */
  readonly exists: boolean;
}

/** What is asked of a server to find it. */
export interface Search {
  readonly source: ServerSource;
  readonly table: string;
  /** The schema that was asked for. */
  readonly named: string | undefined;
  /** Where it was found before. */
  readonly known: string | undefined;
  /** false: a pooler stands between. */
  readonly direct: boolean;
  readonly emit: ProviderContext["emit"];
  readonly ask: (sql: string, bindings: Bindings) => Promise<readonly Row[]>;
}

const insufficientPrivilege = "42501";
// One process of a database at a time, and it sees what the one before it has committed.
const begin = (table: string) => `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '1s';
SELECT pg_catalog.pg_advisory_xact_lock(${advisoryNumber("create", table)})`;

/**
 * The schema of a provider's tables, on MySQL and MariaDB their database: found once, and in every statement from then on,
 * whatever role, path or database a session has when it is sent.
 */
export class TableLocation {
  readonly table: string;
  readonly #source: ServerSource;
  readonly #named: string | undefined;
  readonly #emit: ProviderContext["emit"];
  #known: string | undefined;

  constructor(source: ServerSource, { table, schema, emit }: Terms) {
    this.table = table;
    this.#source = source;
    this.#named = schema === undefined ? undefined : checkSchema(source.family, schema);
    this.#emit = emit;
  }

  /** Of tables that were prepared. */
  get schema(): string {
    if (this.#known === undefined) throw new Error("unreachable: nobody asks before the tables are there");
    return this.#known;
  }

  /** Whether the tables are known to be there. */
  get found(): boolean {
    return this.#known !== undefined;
  }

  /** Resolves with the schema, which is settled once the table is there. Rejects with `LockConfigError` where somebody else could find another one. */
  async find(opened: Opened, deadline: number): Promise<string> {
    if (this.#known !== undefined) return this.#known;
    const { schema, exists } = await this.#locate(opened, deadline);
    return exists ? (this.#known ??= schema) : schema;
  }

  /** Runs statements that create what is missing, in the schema where the table is or belongs. */
  async create(opened: Opened, statements: readonly string[], deadline: number): Promise<void> {
    const { family } = this.#source;
    const run = (sql: string) => opened.connection.run(sql, [], deadline);
    let schema = this.#named ?? this.#known ?? "";
    const locate = async () => ({ schema } = await this.#locate(opened, deadline));
    const texts = () => statements.map((sql) => bound(family, sql, {}, schema).text);
    if (family === "mysql") {
      await locate();
      // Each is a transaction of its own there.
      for (const sql of texts()) await run(sql);
    } else {
      try {
        await run(begin(this.table));
        await locate();
        await run([...texts(), "COMMIT"].join(";\n"));
      } catch (error) {
        await run("ROLLBACK").catch(() => opened.connection.destroy());
        throw codeOf(error) === insufficientPrivilege ? mayNotCreate(schema, error) : error;
      }
    }
    this.#known ??= schema;
  }

  #locate(opened: Opened, deadline: number): Promise<Located> {
    const { family } = this.#source;
    const search: Search = {
      source: this.#source,
      table: this.table,
      named: this.#named,
      known: this.#known,
      direct: opened.direct,
      emit: this.#emit,
      ask: async (sql, bindings) => {
        const { text, values } = bound(family, sql, bindings, "");
        return (await opened.connection.run(text, values, deadline)).rows;
      },
    };
    return family === "postgres" ? locateInPostgres(search) : locateInMysql(search);
  }
}

function mayNotCreate(schema: string, cause: unknown): LockConfigError {
  const said = ((cause as Error).cause as Error | undefined)?.message;
  const accepted = `one in which this role may create tables (GRANT USAGE, CREATE ON SCHEMA), or in which somebody has by the SQL of schema("postgres", …): ${said}`;
  return new LockConfigError("schema", schema, accepted, undefined, cause);
}
