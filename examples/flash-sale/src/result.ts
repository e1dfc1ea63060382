import type { Outcome } from "./messages.js";

/** What a round came to, counted in the database and from what the sellers said. */
export interface Result {
  readonly units: number;
  readonly buyers: number;
  /** Orders in the database. */
  readonly sold: number;
  readonly oversold: number;
  /** What the stock says at the end. */
  readonly left: number;
  /** What `LockLostError` said, once for each sale that outlived its lock. */
  readonly lost: readonly string[];
  readonly late: LateSale | undefined;
  /** ms */
  readonly took: number;
}

/** The sale of the seller who was paused. */
export interface LateSale {
  readonly seller: string;
  /** The stock that the seller had read. */
  readonly read: number;
  /** The stock just before the seller went on. */
  readonly before: number;
  /** The stock just after. */
  readonly after: number;
  readonly outcome: Outcome;
  /** ms */
  readonly paused: number;
}
