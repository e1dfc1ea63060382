import type { AcquireOptions, FencingToken } from "@dlock/core";
import type { OnceOptions } from "@dlock/core/recipes";

/** What a holder process can be told to do, and what it answers. */
export interface Orders {
  /** Waits for the lock, keeps it, and checks it with `throwIfLost` at every turn of its event loop. */
  acquire(key: string, options: AcquireOptions): FencingToken;
  /** How the hold went so far. */
  report(): Work;
  /** What `release()` of the hold said. */
  release(): boolean;
  /** Takes the lock and gives it up `rounds` times. */
  contend(key: string, rounds: number): readonly Span[];
  /** What `once` came to: whether it ran. A task that hangs is answered for when it begins. */
  runOnce(key: string, options: OnceOptions, task: "returns" | "hangs"): boolean;
  /** Closes everything, and lets the process come to its end. */
  leave(): void;
}

/** The steps of a hold whose `throwIfLost` did not throw. ns, by the clock that all processes of a host share. */
export interface Work {
  readonly lastStep: bigint;
  readonly lost: boolean;
}

/** A critical section, from just after the grant to just before the release. */
export interface Span {
  readonly token: FencingToken;
  readonly from: bigint;
  readonly to: bigint;
}

export interface Order {
  readonly id: number;
  readonly order: keyof Orders;
  readonly args: readonly unknown[];
}

export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string | undefined; readonly message: string } | undefined;
}
