import type { ClaimRequest, FencingToken } from "@dlock/core";
import type { Patience } from "./database.js";

/** Holds of one kind in a database, by the claims that want them. */
export interface Leases {
  /** Takes it if it is free for the claim or the claim's own. Throws `LockConfigError` when others hold with another limit. */
  take(request: ClaimRequest, patience: Patience): Promise<Taken>;
  /** false: certainly gone. `shorter`: it may end sooner than it would have. */
  renew(request: ClaimRequest, ttl: number, patience: Patience, how: { readonly shorter: boolean }): Promise<boolean>;
  /** Every later token of the key exceeds `floor`; false: it is not held. */
  raise(request: ClaimRequest, floor: FencingToken, patience: Patience): Promise<boolean>;
  giveUp(request: ClaimRequest, patience: Patience): Promise<void>;
}

interface Taken {
  readonly token: FencingToken | undefined;
  /** Who has it, as far as that is known. */
  readonly holder?: string | undefined;
}
