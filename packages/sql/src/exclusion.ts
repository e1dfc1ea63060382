import type { FencingToken, Signal } from "@dlock/core";
import type { LockSession } from "./lock-session.js";

/** A lock as a server knows it, and who wants it. */
export interface Wanted {
  /** What excludes: two keys with one id exclude each other. */
  readonly id: string;
  readonly key: string;
  readonly claim: string;
  readonly owner: string;
}

/** What a database can do about a lock that lives by a connection. All of it runs on the session, unless it says otherwise. */
export interface Exclusion {
  /** Whether several locks can live by one session. */
  readonly shared: boolean;
  idOf(key: string): string;
  /** Whether it was free; does not wait. */
  take(session: LockSession, wanted: Wanted, deadline: number): Promise<boolean>;
  /** Waits for it for a while; false: not yet. Aborting destroys the session. */
  wait(session: LockSession, wanted: Wanted, signal: Signal): Promise<boolean>;
  /** Draws the token of the hold, and proves after that that it is one. */
  draw(session: LockSession, wanted: Wanted, deadline: number): Promise<FencingToken>;
  free(session: LockSession, wanted: Wanted, deadline: number): Promise<void>;
  /** Asked from the side; disturbs nobody. */
  isHeld(key: string, until: number): Promise<boolean>;
}
