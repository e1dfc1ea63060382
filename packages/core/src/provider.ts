import type { Guarantees } from "./guarantees.js";
import type { Signal } from "./signal.js";

/** Strictly larger at every acquisition of a key; a resource that remembers the largest one it saw can refuse a stale holder. */
export type FencingToken = bigint;

/**
 * A backend, as core sees it. It differs from the others in four things only: how a lock is taken if it is free, how a
 * waiter learns that it may be free, how a hold stays alive, and how it is given up.
 */
export interface LockProvider {
  readonly guarantees: Guarantees;
  /** Synchronous and free of effects: only the claim's methods touch the backend. Throws `LockConfigError` for a mode, limit or ttl it cannot serve. */
  claim(request: ClaimRequest): Claim;
  readonly inspect?: ((key: string) => Promise<LockStatus>) | undefined;
  readonly list?: ((pattern: string) => AsyncIterable<LockStatus>) | undefined;
  /** Ends whatever hold there is; false when there was none. Later tokens are larger all the same. */
  readonly forceRelease?: ((key: string) => Promise<boolean>) | undefined;
  /** Reaches the backend once; rejects with `LockBackendError` when it cannot. */
  readonly connect?: (() => Promise<void>) | undefined;
  /** Frees what the provider opened, never a client it was handed. */
  readonly close?: (() => Promise<void>) | undefined;
}

export type LockMode = "exclusive" | "shared";

export interface ClaimRequest {
  readonly key: string;
  /** Unique to this claim and unguessable. */
  readonly id: string;
  /** Human label, for inspection. */
  readonly owner: string;
  /** ms */
  readonly ttl: number;
  readonly mode: LockMode;
  /** 1 unless a semaphore. */
  readonly limit: number;
  /** false: take it if it is free and nobody waits; leave no place in line. */
  readonly join: boolean;
}

/** One contender: holding, waiting, or gone. Single-use. */
export interface BaseClaim {
  /** ms a dead holder keeps the lock, where the backend does not keep the requested ttl; final once a token was returned. */
  readonly ttl?: number | undefined;
  /**
   * A token proves the hold at the server during this call and restarts every lease in it at the full ttl (the same
   * token when it was held already). `undefined`: not now. Rejection: nobody knows, unless the error says `noEffect`; errors
   * with `retryable: true` are ridden out by waiters. Settles by `deadline` (monotonic ms), after which this attempt must not take effect any more.
   */
  tryAcquire(deadline: number): Promise<FencingToken | undefined>;
  /** Until `tryAcquire` is worth another call, even if that came true before this call. May return early, must return on abort. Left out: core polls with jitter. */
  readonly waitTurn?: ((signal: Signal) => Promise<void>) | undefined;
  /** Gives up the hold or the place in line, at any time, also during another call, whose late success it undoes. Idempotent; harmless to whoever holds now. */
  release(): Promise<void>;
  /** While held: every later token of this key exceeds `floor`. */
  readonly raise?: ((floor: FencingToken) => Promise<boolean>) | undefined;
  /** Exclusive to shared, atomically. */
  readonly downgrade?: (() => Promise<boolean>) | undefined;
}

/** Alive while its lease is renewed. */
export interface LeaseClaim extends BaseClaim {
  /** Restarts the lease at `ttl` ms. false: certainly gone; rejection: nobody knows. */
  renew(ttl: number): Promise<boolean>;
  readonly lost?: Signal | undefined;
}

/** Alive while its session or connection is. */
export interface SessionClaim extends BaseClaim {
  /** Aborts when the hold is certainly gone. */
  readonly lost: Signal;
  /** Monotonic ms up to which the hold is certain, from the send time of the last acknowledged heartbeat. */
  certainUntil(): number;
  /** A heartbeat, asked for every third of the ttl; moves what `certainUntil` says. */
  readonly renew?: ((ttl: number) => Promise<boolean>) | undefined;
}

export type Claim = LeaseClaim | SessionClaim;

export interface HolderStatus {
  readonly owner: string;
  readonly mode: LockMode;
  readonly fencingToken: FencingToken;
  /** ms until the hold ends unless it is renewed; left out where the backend has no such time. */
  readonly expiresIn?: number | undefined;
}

export interface WaiterStatus {
  readonly owner: string;
  readonly mode: LockMode;
}

export interface LockStatus {
  readonly key: string;
  readonly holders: readonly HolderStatus[];
  /** In the order in which they will be served, where the backend knows them. */
  readonly waiters: readonly WaiterStatus[];
}

/** What a provider may report about itself: a raised ttl, a reconnect, an eviction policy that can forget locks. */
export interface ProviderNotice {
  /** Stable, for programs: `TTL_RAISED`, `RECONNECTED` … */
  readonly code: string;
  /** For people. */
  readonly message: string;
  readonly key?: string | undefined;
  readonly error?: unknown;
}

export interface ProviderContext {
  /** Never throws. */
  emit(notice: ProviderNotice): void;
}

/** What an adapter package exports under the name `createProvider`: from the URL and the other fields of a configuration entry to a provider. */
export type ProviderFactory = (entry: ProviderEntry, context: ProviderContext) => LockProvider | Promise<LockProvider>;

export interface ProviderEntry {
  readonly url: string;
  readonly [option: string]: unknown;
}
