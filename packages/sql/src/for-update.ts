import { type FencingToken, type Guarantees, type HolderStatus, monotonicNow, type Signal } from "@dlock/core";
import { lockId } from "./advisory.js";
import { type Counters, soon } from "./counters.js";
import type { Exclusion, Wanted } from "./exclusion.js";
import { gateOf, type LockRows } from "./lock-row.js";
import { type LockSession, waitSlice } from "./lock-session.js";
import type { ReaderTable } from "./reader-table.js";
import { codeOf } from "./server-failure.js";

/** PostgreSQL; MySQL and MariaDB. */
const waitedTooLong: readonly unknown[] = ["55P03", 1205];
// One search through the table of rows for as many acquisitions.
const sweepEvery = 512;

/** A row that an open transaction has locked, which cannot give back a part of its lock: there is no downgrade. */
export class ForUpdate implements Exclusion {
  readonly roomy = false;
  readonly modes: Guarantees["modes"] = ["exclusive", "shared"];
  readonly #table: string;
  readonly #rows: LockRows;
  readonly #counters: Counters;
  readonly #readers: ReaderTable;
  #taken = 0;

  constructor(table: string, rows: LockRows, counters: Counters, readers: ReaderTable) {
    this.#table = table;
    this.#rows = rows;
    this.#counters = counters;
    this.#readers = readers;
  }

  idOf(key: string): string {
    return key;
  }

  async take(session: LockSession, wanted: Wanted, deadline: number): Promise<boolean> {
    for (;;) {
      await session.run(this.#rows.begin, [], deadline);
      if (await this.#finds(session, this.#rows.take[wanted.mode], wanted, deadline)) return true;
      const there = await this.#finds(session, this.#rows.look, wanted, deadline);
      await session.run("ROLLBACK", [], deadline);
      if (there) return false;
      await this.#insert(session, wanted, deadline);
    }
  }

  async wait(session: LockSession, wanted: Wanted, signal: Signal): Promise<boolean> {
    const deadline = monotonicNow() + 2 * waitSlice;
    await session.run(this.#rows.begin, [], deadline, signal);
    try {
      if (await this.#finds(session, this.#rows.wait[wanted.mode], wanted, deadline, signal)) return true;
      await session.run("ROLLBACK", [], deadline, signal);
      await this.#insert(session, wanted, deadline, signal);
    } catch (error) {
      if (!waitedTooLong.includes(codeOf(error))) throw error;
      await session.run("ROLLBACK", [], deadline, signal);
    }
    return false;
  }

  /** The proof comes last: a holder that died in between draws a token larger than that of the next holder, and must not have been one. */
  async draw(session: LockSession, wanted: Wanted, deadline: number): Promise<FencingToken> {
    const token = await this.#counters.draw(wanted, deadline);
    if (wanted.mode === "exclusive") await session.run("SELECT 1", [], deadline);
    else {
      await this.#readers.add(wanted, token, deadline);
      // Shows to others that this reader lives.
      const { key, claim } = wanted;
      const named = { key: this.#counters.stored(key), claim };
      await this.#counters.on(session, this.#readers.statements.lock, named, deadline);
    }
    return token;
  }

  async free(session: LockSession, wanted: Wanted, deadline: number): Promise<void> {
    await session.run("ROLLBACK", [], deadline);
    if (wanted.mode === "shared") await this.#readers.remove(wanted);
    if (++this.#taken % sweepEvery === 0) void this.#sweep();
  }

  async isHeldAlone(key: string, until: number): Promise<boolean> {
    return (await this.#counters.query(this.#rows.held, this.#named(key), until)).rows.length > 0;
  }

  readers(key: string, until: number): Promise<readonly HolderStatus[]> {
    return this.#readers.show(this.#readers.statements.locked, key, key, until);
  }

  /** In a transaction of its own: nobody ever waits for a row whose inserter has not committed. */
  async #insert(session: LockSession, wanted: Wanted, deadline: number, signal?: Signal): Promise<void> {
    const { insert, alone, look } = this.#rows;
    const key = this.#counters.stored(wanted.key);
    if (alone === undefined) return void (await this.#counters.on(session, insert, { key }, deadline, signal));
    const id = lockId(`${this.#table}_rows`, wanted.key);
    await this.#counters.on(session, alone.enter, { id }, deadline, signal);
    // If something fails in here the session is ended, and what was entered with it.
    if (!(await this.#finds(session, look, wanted, deadline, signal))) {
      await this.#counters.on(session, insert, { key }, deadline, signal);
    }
    await this.#counters.on(session, alone.leave, { id }, deadline, signal);
  }

  async #finds(
    session: LockSession,
    sql: string,
    { key }: Wanted,
    deadline: number,
    signal?: Signal,
  ): Promise<boolean> {
    return (await this.#counters.on(session, sql, this.#named(key), deadline, signal)).rows.length > 0;
  }

  #named(key: string): { readonly key: string; readonly gate: string } {
    return { key: this.#counters.stored(key), gate: gateOf(this.#table, key) };
  }

  /** Tidies up: nothing depends on it. A row that is locked is left alone. */
  async #sweep(): Promise<void> {
    try {
      const { rows } = await this.#counters.query(this.#rows.idle, {}, soon());
      const keys = rows.map(({ key }) => (key instanceof Uint8Array ? new TextDecoder().decode(key) : String(key)));
      if (keys.length > 0) await this.#counters.query(this.#rows.remove, { keys }, soon());
    } catch {
      // The next one will.
    }
  }
}
