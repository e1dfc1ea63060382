/** What stands around the critical section. */
export type Method = "unlocked" | "locked" | "fenced" | "striped";

/** Shop to seller: one buyer to serve. */
export interface Order {
  readonly item: string;
  readonly buyer: number;
  readonly method: Method;
  /** ms that the lock outlives a seller who cannot renew it. */
  readonly ttl: number;
  /** In how many parts the stock is, each with a lock of its own. */
  readonly stripes: number;
  /** Think until the shop says "go on". */
  readonly hold?: boolean;
}

export type ToSeller = Order | "go on";

/** `refused`: the stock had already seen a larger fencing token. */
export type Outcome = "sold" | "sold out" | "refused";

export interface Served {
  readonly kind: "served";
  readonly outcome: Outcome;
  /** What `LockLostError` says, when the lock ended before the sale did. */
  readonly lost?: string;
}

export type FromSeller =
  | { readonly kind: "ready" }
  | { readonly kind: "thinking"; readonly left: number }
  | Served
  | { readonly kind: "failed"; readonly message: string };
