import { type ClaimRequest, LockConfigError } from "@dlock/core";

type Terms = Pick<ClaimRequest, "key" | "id" | "mode" | "limit">;

/** A lease and those who share it, in the database's own unit of time, at one moment. */
export interface Occupancy {
  /** Whose the lease is: a claim's, or that of a company of claims. */
  readonly claim: string;
  readonly version: bigint;
  readonly expires: bigint;
  readonly clock: bigint;
  /** Of the holders in the company, but for the one who asks. */
  readonly others: number;
  /** When the first and the last of them end. */
  readonly first: bigint;
  readonly last: bigint;
  /** Until when somebody waits to write. */
  readonly writers: bigint;
  /** Of the one who asks, if it is in the company. */
  readonly token: bigint | undefined;
}

export type Verdict =
  /** The company to be in. */
  | { readonly join: string; readonly until?: undefined }
  /** Not before this time, unless somebody goes earlier. */
  | { readonly join?: undefined; readonly until: bigint };

/** When the lease of a company that has gone ended; that of a single claim ended at 0. Tells whose turn it was last. */
export const companyGone = 1n;

/** What stands in the lease for all who share it. The id of the first one makes it another one than that of all before. */
export function companyOf({ mode, limit, id }: Omit<Terms, "key">): string {
  return mode === "shared" ? `shared/${id}` : `limit=${limit}/${id}`;
}

export function isCompany(claim: string): boolean {
  return /^(shared|limit=\d+)\//.test(claim);
}

export function isShared(claim: string): boolean {
  return claim.startsWith("shared/");
}

function limitOf(claim: string): number {
  return Number(/^limit=(\d+)\//.exec(claim)?.[1] ?? 1);
}

/** Throws when those who hold have another limit in mind. */
export function checkLimit({ key, limit }: Pick<Terms, "key" | "limit">, claim: string): void {
  const used = limitOf(claim);
  if (used !== limit)
    throw new LockConfigError("limit", limit, `${used}, which others use for this key at present`, key);
}

/** What a claim that shares may do. */
export function judge(terms: Terms, { claim, expires, clock, others, first, writers }: Occupancy): Verdict {
  const held = isCompany(claim) ? others > 0 : expires > clock;
  if (held) checkLimit(terms, claim);
  const reads = terms.mode === "shared";
  // After a writer it is the readers' turn again, whoever waits.
  const readersWereLast = isShared(claim) || (claim === "" && expires === companyGone);
  if (reads && readersWereLast && writers > clock) return { until: writers };
  if (!held) return { join: companyOf(terms) };
  if (!isCompany(claim) || isShared(claim) !== reads) return { until: expires };
  return reads || others < terms.limit ? { join: claim } : { until: first };
}
