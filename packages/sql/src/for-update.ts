import { type FencingToken, monotonicNow, type Signal } from "@dlock/core";
import { lockId } from "./advisory.js";
import { type Counters, soon } from "./counters.js";
import type { Exclusion, Wanted } from "./exclusion.js";
import type { LockRows } from "./lock-row.js";
import { type LockSession, waitSlice } from "./lock-session.js";
import { codeOf } from "./server-failure.js";

/** PostgreSQL; MySQL and MariaDB. */
const waitedTooLong: readonly unknown[] = ["55P03", 1205];
// One search through the table of rows for as many acquisitions.
const sweepEvery = 512;

/** A row that an open transaction has locked. */
export class ForUpdate implements Exclusion {
  readonly shared = false;
  readonly #table: string;
  readonly #rows: LockRows;
  readonly #counters: Counters;
  #taken = 0;

  constructor(table: string, rows: LockRows, counters: Counters) {
    this.#table = table;
    this.#rows = rows;
    this.#counters = counters;
  }

  idOf(key: string): string {
    return key;
  }

  async take(session: LockSession, wanted: Wanted, deadline: number): Promise<boolean> {
    for (;;) {
      await session.run(this.#rows.begin, [], deadline);
      if (await this.#finds(session, this.#rows.take, wanted, deadline)) return true;
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
      if (await this.#finds(session, this.#rows.wait, wanted, deadline, signal)) return true;
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
    await session.run("SELECT 1", [], deadline);
    return token;
  }

  async free(session: LockSession, _wanted: Wanted, deadline: number): Promise<void> {
    await session.run("ROLLBACK", [], deadline);
    if (++this.#taken % sweepEvery === 0) void this.#sweep();
  }

  async isHeld(key: string, until: number): Promise<boolean> {
    return (await this.#counters.query(this.#rows.held, { key: this.#counters.stored(key) }, until)).rows.length > 0;
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
    return (
      (await this.#counters.on(session, sql, { key: this.#counters.stored(key) }, deadline, signal)).rows.length > 0
    );
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
