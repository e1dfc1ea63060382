import type { Bindings, Reply } from "./database.js";

/**
 * The statements of the `version` strategy in one dialect. Each is one autocommit statement that reads the database's
 * clock; bindings are `:key`, `:keys`, `:claim` (a claim's id), `:owner` (its label) and `:ttl` (whole ms).
 */
export interface VersionDialect {
  /** Of the table and of what its columns mean. A release that changes either counts it up. */
  readonly layout: number;
  /** A key as the table has it. */
  stored(key: string): string;
  /** Creates what is missing, any number of times. */
  readonly schema: readonly string[];
  /** A row if the table is there. */
  readonly exists: string;
  /** The `layout` the table was created with and, of a server, the `clock`. */
  readonly look: string;
  /** Takes the lease if it is free or the claim's own. */
  take(run: Run, bindings: TakeBindings & Bindings): Promise<Taken>;
  /** Restarts the lease if it is ours and has not ended. */
  readonly renew: string;
  /** Makes every later version exceed `:floor`, if the lease is ours and has not ended. */
  readonly raise: string;
  /** Ends the lease if it is ours. */
  readonly giveUp: string;
  /** Of each of the `:keys`: `key`, and ms `remaining` until its lease ends, zero or less when it has. */
  readonly remaining: string;
  /** `claim`, `owner`, `token` as text and `remaining` of the lease, if it is held. */
  readonly holder: string;
  /** Ends the lease of `:claim` as long as its version is `:version`: a repeat leaves every later lease alone. */
  readonly evict: string;
  /** Deletes some of the rows that no token depends on any more. */
  readonly sweep: string;
  /** ms that sweeping may take. */
  readonly sweepFor: number;
}

/** A server's, where the table also counts the tokens of strategies that keep their locks elsewhere. */
export interface ServerDialect extends VersionDialect {
  /** The next token of the key, for a claim that has the lock already. */
  bump(run: Run, bindings: Pick<TakeBindings, "key" | "claim" | "owner"> & Bindings): Promise<bigint>;
}

/** Runs one autocommit statement. */
export type Run = (sql: string, bindings: Bindings) => Promise<Reply>;

interface TakeBindings {
  readonly key: string;
  readonly claim: string;
  readonly owner: string;
  readonly ttl: number;
  /** Server time in µs from which on the lease is not taken any more; 0 where no statement can be late. */
  readonly deadline: number;
}

interface Taken {
  /** `undefined`: not free. */
  readonly token?: bigint | undefined;
  /** Who has it instead, as far as that is known. */
  readonly holder?: string | undefined;
  /** µs that the server's clock showed. */
  readonly clock?: number | undefined;
}
