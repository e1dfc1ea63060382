import type { Signal } from "@dlock/core";

export type Bindings = Readonly<Record<string, string | number | readonly string[]>>;
export type Row = Readonly<Record<string, unknown>>;

export interface Reply {
  readonly rows: readonly Row[];
  /** Rows that were written, or found. */
  readonly affected: number;
  /** What a statement of MySQL or MariaDB gave to LAST_INSERT_ID(). */
  readonly insertId?: bigint | undefined;
}

export interface Patience {
  /** Monotonic ms after which a statement must not take effect any more. */
  readonly until: number;
  /** Monotonic ms after which a statement without an answer keeps no connection from others; default: it does. */
  readonly slowFrom?: number | undefined;
  /** Rejects rather than to wait for a connection, of which another one is made then if there may be. Default false. */
  readonly atOnce?: boolean | undefined;
  /** Ends it before it is sent. */
  readonly signal?: Signal | undefined;
}

/** A database, on connections of our own. */
export interface Database {
  /** Runs one autocommit statement. Rejects with an error of dlock: nobody knows whether it took effect, unless it says so. */
  query(sql: string, bindings: Bindings, patience: Patience): Promise<Reply>;
  /** Runs statements that create tables, where those of the provider are or belong. Left out: there is one place for them. */
  create?(statements: readonly string[], patience: Patience): Promise<void>;
  close(): Promise<void>;
}
