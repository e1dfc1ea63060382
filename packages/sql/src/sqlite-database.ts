import type { Stats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  LockBackendError,
  LockClosedError,
  LockConfigError,
  monotonicNow,
  pause,
  type ProviderNotice,
} from "@dlock/core";
import type { Bindings, Database, Patience, Reply, Row } from "./database.js";
import { isSameFile, look } from "./file.js";
import { putSchema } from "./in-schema.js";
import type { Connection, KnexClient, Source } from "./knex-client.js";
import { explain, isBusy } from "./sqlite-failure.js";
import { sqliteSchema } from "./sqlite-dialect.js";
import { runAlone } from "./sqlite-statement.js";

interface Open {
  readonly client: KnexClient;
  readonly connection: Connection;
  readonly file: string;
  readonly stats: Stats | undefined;
}

/**
 * One connection to an SQLite file. Its statements run in this thread, start to end within one call: what has settled
 * leaves nothing behind that could take effect later, so that deadlines are kept by looking at the clock before each.
 */
export class SqliteDatabase implements Database {
  readonly #source: Source;
  readonly #emit: (notice: ProviderNotice) => void;
  #open: Promise<Open> | undefined;
  #closed = false;

  constructor(source: Source, emit: (notice: ProviderNotice) => void) {
    this.#source = source;
    this.#emit = emit;
  }

  async query(sql: string, bindings: Bindings, patience: Patience): Promise<Reply> {
    let busy: unknown;
    for (let ceiling = 2; ; ceiling = Math.min(ceiling * 2, 50)) {
      // A loop of locks must not starve timers; drivers also free their statements between turns.
      await nextTurn();
      try {
        checkPatience(patience);
        const { connection } = await this.#connected();
        checkPatience(patience);
        const rows = runAlone(connection, putSchema(sql, sqliteSchema), withLists(bindings));
        return { rows, affected: rows.length };
      } catch (error) {
        if (isBusy(error)) busy = error;
        const wait = ceiling * (0.5 + Math.random() / 2);
        const late = monotonicNow() + wait >= patience.until;
        // What kept it until then says more than that it is late.
        if (late || !isBusy(error)) throw explain((late && busy) || error, this.#source);
        await pause(wait, { background: false, signal: patience.signal });
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const open = await this.#open?.catch(() => undefined);
    this.#open = undefined;
    if (open !== undefined) await leave(open);
  }

  async #connected(): Promise<Open> {
    if (this.#closed) throw new LockClosedError();
    const opening = (this.#open ??= this.#connect());
    const open = await opening;
    if (this.#closed) throw new LockClosedError();
    if (isSameFile(open.stats, look(open.file))) return open;
    if (this.#open === opening) {
      this.#open = undefined;
      // Others who open this path use another file now: what we hold in ours excludes nobody.
      const message = `${open.file} was replaced or removed while it was in use: locks held in it are lost`;
      this.#emit({ code: "DATABASE_REPLACED", message });
      await leave(open);
    }
    return this.#connected();
  }

  #connect(): Promise<Open> {
    const connecting = this.#prepared();
    connecting.catch(() => {
      if (this.#open === connecting) this.#open = undefined;
    });
    return connecting;
  }

  async #prepared(): Promise<Open> {
    const { field, value } = this.#source;
    const found = look(value);
    // SQLite would call a device locked, for ever.
    if (found && !found.isFile() && !found.isDirectory())
      throw new LockConfigError(field, value, "a file, not a device");
    const { client, connection } = await this.#source.open();
    const ask = (sql: string, column: string) =>
      String(
        connection
          .prepare(sql)
          .all({})
          .map((row) => (row as Row)[column])[0],
      );
    try {
      const version = ask("SELECT sqlite_version() AS version", "version");
      if (!isRecent(version)) throw new LockConfigError("driver", `SQLite ${version}`, "SQLite 3.42 or later");
      // The driver would wait inside the call and stall the whole process: busy is waited for on timers instead.
      connection.exec("PRAGMA busy_timeout = 0");
      const file = ask("PRAGMA database_list", "file");
      if (file === "") throw new LockConfigError(field, value, "a file: nobody else would see locks in memory");
      // Stays with the file. Without it every writer would shut out readers, who are most of those who wait.
      connection.exec("PRAGMA journal_mode = WAL");
      const mode = ask("PRAGMA journal_mode", "journal_mode");
      if (mode !== "wal") throw new LockConfigError(field, value, `a database that can use WAL, not ${mode}`);
      // Who loses power loses its holds with it, and tokens go on from the clock: nothing is worth an fsync per lock.
      connection.exec("PRAGMA synchronous = NORMAL");
      return { client, connection, file, stats: look(file) };
    } catch (error) {
      await client.destroyRawConnection(connection);
      throw error;
    }
  }
}

async function leave({ client, connection }: Open): Promise<void> {
  await client.destroyRawConnection(connection);
}

/** SQLite has no lists: `json_each` makes rows of one. */
function withLists(bindings: Bindings): Bindings {
  const bound: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(bindings))
    bound[name] = typeof value === "object" ? JSON.stringify(value) : value;
  return bound;
}

function checkPatience({ until, signal }: Patience): void {
  if (signal?.aborted) throw new LockBackendError("the call was given up", { noEffect: true });
  if (monotonicNow() < until) return;
  throw new LockBackendError("the statement came after its deadline", { retryable: true, noEffect: true });
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 42);
}
