import type { Bindings } from "./database.js";
import type { Run } from "./dialect.js";

/**
 * The statements of the `version` strategy about those who share a lease, in one dialect. Bindings are those of
 * `VersionDialect` and `:company`, what stands in the lease for all of them. What is written to both tables is written at once.
 *
 * Whoever lets somebody in, or takes the lease from those who have gone, writes the lease on condition that it still is as
 * it was when the holders were counted (`:seen`, `:version`, `:until`): whoever comes or renews changes it.
 */
export interface HolderDialect {
  /** Creates what is missing, any number of times. */
  readonly schema: readonly string[];
  /** Times of the database in a millisecond. */
  readonly perMs: bigint;
  /** A free lease, unless the key has one. */
  readonly found: string;
  /** `Occupancy` of each of the `:keys`, as `:claim` sees it: numbers are text. */
  readonly look: string;
  /** Lets the claim in; its token. `undefined`: the lease is not as it was, is locked, or it is too late. */
  join(run: Run, bindings: JoinBindings): Promise<bigint | undefined>;
  /** Restarts the time of the claim if it is in the company and its time has not ended. */
  readonly renew: string;
  /** Makes every later version exceed `:floor`, likewise. */
  readonly raise: string;
  /** Makes the claim's own lease that of a company which it is in. */
  downgrade(run: Run, bindings: Bindings): Promise<boolean>;
  /** Takes the claim out, or from those who wait to write. */
  readonly leave: string;
  /** Makes the lease last until `:ends`, as `:claim`'s. */
  readonly settle: string;
  /** For `:ttl` ms, the claim waits to write. */
  readonly wait: string;
  /** `owner`, `token` and `remaining` of all in the company. */
  readonly holders: string;
  /** Deletes some of those who died long ago. */
  readonly sweep: string;
}

type JoinBindings = Bindings & { readonly key: string; readonly claim: string };

/** The word in place of a company's of those who wait to write. */
export const writer = "writer";

export function holderTable(table: string): string {
  return `${table}_holders`;
}
