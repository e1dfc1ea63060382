import type { Link } from "@dlock/testbed";
import type { Entry } from "./entry.js";
import type { Fault } from "./fault.js";

/** Links to one server or several, disturbed together. */
export type Way = Omit<Link, "port">;

/** Servers to work on, and what can happen to them. */
export interface Ground {
  readonly name: string;
  /** Where the locks are, for each worker, by its own way. */
  readonly entries: readonly Entry[];
  /** The ways of the workers, in the same order; none where there is no network. */
  readonly ways: readonly Way[];
  /** Where the locks are, by no link. */
  readonly side: Entry;
  /** ms of every hold. */
  readonly ttl: number;
  /** ms in which holds and faults are measured; default: the ttl. */
  readonly pace?: number;
  /** ms after a fault was healed in which every key can be had again, unless somebody holds it for so long. */
  readonly recovery: number;
  /** ms for which a dead waiter may hold up the line. */
  readonly deadWaiter: number;
  /** Requests wait for one of a few connections, each of which serves one at a time. */
  readonly queues?: true;
  /** Of this backend; those of processes and links are everybody's. */
  readonly faults: readonly Fault[];
  /** Resolves when the servers serve. */
  settle?(): Promise<void>;
  /** What is left in the store of locks that nobody holds, and connections of clients that are gone. */
  residue(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export type OpenGround = (workers: number) => Promise<Ground>;
