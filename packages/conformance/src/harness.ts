import type { Guarantees, LockProvider } from "@dlock/core";
import type { Holder } from "./holder.js";

/** What a backend lends the suite. What is left out skips the laws that need it, visibly. */
export interface Harness {
  /** Part of the names of keys. */
  readonly name: string;
  /** What the provider under test guarantees; a law checks that the provider says the same. */
  readonly guarantees: Guarantees;
  /** The optional members that the provider and its claims have; a law checks that there is no other. */
  readonly offers?: readonly Offer[] | undefined;
  readonly timing?: Timing | undefined;
  /** Opens a provider as another process would: connections of its own, the same store. */
  readonly open: () => Promise<Peer>;
  /** The same over a link that can be disturbed; a TCP proxy, for most. */
  readonly openLinked?: (() => Promise<LinkedPeer>) | undefined;
  readonly server?: Server | undefined;
  /** Starts a process that takes locks of the same store: `() => spawnHolder(module)`. */
  readonly spawn?: (() => Promise<Holder>) | undefined;
  /** Names of all that the store holds now, asked from the side, without what stays there by design. */
  readonly residue?: (() => Promise<readonly string[]>) | undefined;
  /** Pairs of configurations that lead to the same locks and do not look like it. */
  readonly aliases?: readonly Alias[] | undefined;
}

/**
 * Two ways to name the same locks: they differ in the role, the search path, the database that a session selected, or the
 * place where a namespace is written. Either both exclude each other, or one of them is refused, with `LockConfigError` or a
 * `LockBackendError` that does not pass, by `open` or by the first call.
 */
export interface Alias {
  /** What differs. */
  readonly title: string;
  /** Each opens a provider as another process would. One after the other, the first one first. */
  readonly open: readonly [() => Promise<Peer>, () => Promise<Peer>];
}

/** `waitTurn` is there anyway where waiting is "push"; where it is "poll" it may be, to poll in a cheaper way than `tryAcquire`. */
export type Offer = "inspect" | "list" | "forceRelease" | "raise" | "downgrade" | "waitTurn";

/** How fast the backend is, in ms. */
export interface Timing {
  /** The ttl that laws ask for where a hold or a place in line has to end by itself; default 400. */
  readonly ttl?: number | undefined;
  /** How late anything may come: round trips, a polling interval, a busy machine; default 300. */
  readonly slack?: number | undefined;
  /** How long a waiter that died may hold up those behind it; default: the ttl. */
  readonly deadWaiter?: number | undefined;
}

/** One provider, as one process has it. */
export interface Peer {
  readonly provider: LockProvider;
  /** Frees the provider and everything that came with it, in whatever state it is. */
  close(): Promise<void>;
}

export interface LinkedPeer extends Peer {
  readonly link: Link;
}

/** The way between one peer and the server. */
export interface Link {
  /** From now on nothing arrives in either direction and nobody is told: a partition, not a closed connection. What was sent may arrive after `heal`. */
  freeze(): void;
  /** Connections break and new ones are refused. */
  cut(): void;
  /** Requests arrive and are executed; no answer comes back. */
  dropReplies(): void;
  /** Each direction takes `ms` longer. */
  delay(ms: number): void;
  /** As it was before. */
  heal(): void;
}

/** The server behind all peers. A law that uses it runs alone. */
export interface Server {
  /** Kills it and starts it again, with what it had stored or with nothing; resolves when it answers. */
  readonly restart?: ((options: { readonly keepData: boolean }) => Promise<void>) | undefined;
  /** The node that answers is gone for good, and another takes over; resolves when it answers. */
  readonly failover?: (() => Promise<void>) | undefined;
  /** It stands still and keeps its connections, as after SIGSTOP. Resolves with what makes it go on, which may be called again. */
  readonly pause?: (() => Promise<() => Promise<void>>) | undefined;
}
