import type { Signal } from "@dlock/core";

export type Bindings = Readonly<Record<string, string | number>>;
export type Row = Readonly<Record<string, unknown>>;

export interface Patience {
  /** Monotonic ms after which a statement must not take effect any more. */
  readonly until: number;
  readonly signal?: Signal | undefined;
}

/** A database, on connections of our own. */
export interface Database {
  /** The rows of one autocommit statement. Rejects with an error of dlock: nobody knows whether it took effect. */
  query(sql: string, bindings: Bindings, patience: Patience): Promise<readonly Row[]>;
  close(): Promise<void>;
}
