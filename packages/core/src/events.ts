import type { LockLostError } from "./errors.js";
import type { FencingToken, LockMode, ProviderNotice } from "./provider.js";

export interface AboutCall {
  /** The whole key, prefix included. */
  readonly key: string;
  readonly owner: string;
  readonly mode: LockMode;
}

export interface AboutHold extends AboutCall {
  readonly fencingToken: FencingToken;
}

/** Everything a `Locks` reports. Durations are ms. */
export interface LockEvents {
  /** The first answer was "not free": the caller waits, or returns if it does not wait. */
  contended: AboutCall;
  acquired: AboutHold & { readonly waited: number };
  /** A call ended without the lock: timed out, aborted, closed, or the backend failed. */
  abandoned: AboutCall & { readonly waited: number; readonly reason: unknown };
  renewed: AboutHold & { readonly took: number };
  /** One renewal failed; it is retried until `remaining` is over. */
  renewFailed: AboutHold & { readonly error: unknown; readonly remaining: number };
  lost: AboutHold & { readonly heldFor: number; readonly reason: LockLostError };
  /** `expiresIn`: it was left at the backend, to end by itself in so many ms (`expireIn`). */
  released: AboutHold & { readonly heldFor: number; readonly expiresIn?: number | undefined };
  /** The hold ends by its ttl: that it was given up could not be confirmed. */
  releaseFailed: AboutHold & { readonly heldFor: number; readonly error: unknown };
  /** A failure of the backend that a waiter rides out. */
  backendFailed: AboutCall & { readonly error: unknown };
  /** What a person should look at: notices of the backend, which configuration file a search took or left, a wait for a lock this very process holds. */
  warning: ProviderNotice;
}

export type LockEventName = keyof LockEvents;
export type LockListener<Name extends LockEventName> = (event: LockEvents[Name]) => void;
export type LockListeners = { readonly [Name in LockEventName]?: LockListener<Name> | undefined };
