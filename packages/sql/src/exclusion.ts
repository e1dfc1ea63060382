import type { FencingToken, Guarantees, HolderStatus, LockMode, Signal } from "@dlock/core";
import type { LockSession } from "./lock-session.js";

/** A lock as a server knows it, and who wants it. */
export interface Wanted {
  /** What excludes: two keys with one id exclude each other. */
  readonly id: string;
  readonly key: string;
  readonly claim: string;
  readonly owner: string;
  readonly mode: LockMode;
}

/** What a database can do about a lock that lives by a connection. All of it runs on the session, unless it says otherwise. */
export interface Exclusion {
  readonly modes: Guarantees["modes"];
  /** Whether several locks can live by one session; never two claims of one lock, which would not exclude each other there. */
  readonly roomy: boolean;
  idOf(key: string): string;
  /** Whether it was free; does not wait. */
  take(session: LockSession, wanted: Wanted, deadline: number): Promise<boolean>;
  /** Waits for it for a while; false: not yet. Aborting destroys the session. */
  wait(session: LockSession, wanted: Wanted, signal: Signal): Promise<boolean>;
  /** Draws the token of the hold, and proves after that that it is one. */
  draw(session: LockSession, wanted: Wanted, deadline: number): Promise<FencingToken>;
  free(session: LockSession, wanted: Wanted, deadline: number): Promise<void>;
  /** From exclusive to shared, without a moment in between. */
  readonly downgrade?:
    | ((session: LockSession, wanted: Wanted, token: FencingToken, deadline: number) => Promise<void>)
    | undefined;
  /** Asked from the side, whether somebody has it alone. */
  isHeldAlone(key: string, until: number): Promise<boolean>;
  /** Likewise, who reads. */
  readers(key: string, until: number): Promise<readonly HolderStatus[]>;
}
