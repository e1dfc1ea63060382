/**
 * The statements of the `version` strategy in one dialect. Each is one autocommit statement that reads the database's
 * clock; bindings are `:key`, `:claim` (a claim's id), `:owner` (its label) and `:ttl` (whole ms).
 */
export interface VersionDialect {
  /** Creates what is missing, any number of times. */
  readonly schema: readonly string[];
  /** A row if the table is there. */
  readonly exists: string;
  /** The `layout` the table was created with. */
  readonly layout: string;
  /** Takes the lease if it is free or ours: the `token` as text, or no row. */
  readonly take: string;
  /** Restarts the lease if it is ours and has not ended: a row, or none. */
  readonly renew: string;
  /** Ends the lease if it is ours. */
  readonly giveUp: string;
  /** ms `remaining` until the lease ends, zero or less when it has. */
  readonly remaining: string;
  /** `owner`, `token` as text and `remaining` of the lease, if it is held. */
  readonly holder: string;
  /** Ends the lease, whoever holds it: a row if somebody did. */
  readonly evict: string;
  /** Deletes some of the rows that no token depends on any more. */
  readonly sweep: string;
}
