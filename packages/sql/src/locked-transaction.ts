import {
  type AcquireOptions,
  checkFields,
  type Lock,
  LockBackendError,
  LockConfigError,
  LockLostError,
  type Locks,
  pause,
} from "@dlock/core";
import { serverFailure } from "./server-failure.js";

export interface LockedTransactionOptions extends AcquireOptions {
  /** ms of the hold that have to be left when COMMIT is sent; default a quarter of the ttl, at most 1 000. */
  readonly margin?: number | undefined;
  /** What knex takes beside a transaction, `{ isolationLevel: "serializable" }`. */
  readonly transaction?: object | undefined;
}

/** A knex, by the members used here: it begins transactions. */
export interface TransactionalKnex<Transaction> {
  transaction<Result>(scope: (trx: Transaction) => Promise<Result>, config?: object): Promise<Result>;
  readonly isTransaction?: boolean | undefined;
}

export type LockedTask<Transaction, Result> = (trx: Transaction, lock: Lock) => Result | PromiseLike<Result>;

/** knex's own transaction, begun without a scope: it is ended by us. */
interface OpenTransaction {
  isCompleted(): boolean;
  commit(): Promise<unknown>;
  rollback(): Promise<unknown>;
  readonly executionPromise: Promise<unknown>;
}

interface Begins {
  transaction(scope: undefined, config: object): Promise<OpenTransaction>;
}

/** ms that the answer to a COMMIT is waited for once the hold is lost. */
const patience = 2_000;

/**
 * Takes the lock, then begins a transaction, and commits it only while the hold is certain, with a margin. Else it rolls back
 * and rejects with `LockLostError`, which has a `result` only if the hold was lost during a COMMIT that succeeded.
 * A COMMIT without an answer is a `LockBackendError`: nobody knows.
 */
export function lockedTransaction<Transaction, Result>(
  locks: Locks,
  knex: TransactionalKnex<Transaction>,
  key: string,
  task: LockedTask<Transaction, Result>,
): Promise<Result>;
export function lockedTransaction<Transaction, Result>(
  locks: Locks,
  knex: TransactionalKnex<Transaction>,
  key: string,
  options: LockedTransactionOptions | undefined,
  task: LockedTask<Transaction, Result>,
): Promise<Result>;
export async function lockedTransaction<Transaction, Result>(
  locks: Locks,
  knex: TransactionalKnex<Transaction>,
  key: string,
  ...rest: [LockedTask<Transaction, Result>] | [LockedTransactionOptions | undefined, LockedTask<Transaction, Result>]
): Promise<Result> {
  const [given, task] = rest.length === 1 ? [{}, rest[0]] : [rest[0] ?? {}, rest[1]];
  const { margin, transaction, ...options } = given;
  if (knex.isTransaction) {
    throw new LockConfigError("knex", "a transaction", "the knex it belongs to: a savepoint commits nothing");
  }
  if (margin !== undefined && !(margin >= 0)) throw new LockConfigError("margin", margin, "milliseconds, 0 or more");
  if (transaction !== undefined) checkFields("transaction", transaction, ["isolationLevel", "readOnly"]);
  return locks.withLock(key, options, async (lock) => {
    // Left without a scope, it hands out the transaction itself.
    const trx = await (knex as unknown as Begins).transaction(undefined, { ...transaction });
    let result: Result;
    try {
      result = await task(trx as Transaction, lock);
      if (trx.isCompleted()) {
        throw new LockConfigError(
          "trx",
          "ended by the task",
          "a task that leaves COMMIT and ROLLBACK to lockedTransaction",
        );
      }
      lock.throwIfLost(margin ?? Math.min(1_000, lock.ttl / 4));
    } catch (error) {
      if (!trx.isCompleted()) await trx.rollback().catch(() => {});
      throw error;
    }
    await answered(commit(trx, key), lock);
    return result;
  });
}

/** Resolves when the server has said that it stands: knex's own `commit` resolves on a dead connection as well. */
async function commit(trx: OpenTransaction, key: string): Promise<void> {
  const [ended, outcome] = await Promise.allSettled([trx.commit(), trx.executionPromise]);
  if (outcome.status === "rejected") throw failureOf(outcome.reason, key);
  // What PostgreSQL answers, without an error, if a statement of the transaction had failed.
  if (ended.status === "fulfilled" && tagOf(ended.value) === "ROLLBACK") {
    throw new LockBackendError(`the transaction under "${key}" was rolled back: a statement in it had failed`, {
      key,
      noEffect: true,
    });
  }
}

/** The driver's own error where it says that nothing was committed, as of a constraint; else nobody knows. */
function failureOf(error: unknown, key: string): unknown {
  const { noEffect } = serverFailure(error, "the database") as Partial<LockBackendError>;
  if (noEffect || String((error as { readonly code?: unknown } | null)?.code).startsWith("SQLITE_")) return error;
  const message = `no answer to the COMMIT under "${key}": whether it took effect is not known`;
  return new LockBackendError(message, { key, cause: error });
}

function tagOf(reply: unknown): unknown {
  return (reply as { readonly response?: { readonly command?: unknown } } | undefined)?.response?.command;
}

/** A COMMIT that stays without an answer is waited for while the lock is held, and not for ever after. */
async function answered(committing: Promise<void>, lock: Lock): Promise<void> {
  const over = new AbortController();
  const lost = new Promise<never>((_, reject) => {
    const wait = async () => {
      await pause(patience, { background: false, signal: over.signal });
      reject(
        new LockLostError(lock.key, "was lost during a COMMIT without an answer: whether it took effect is not known"),
      );
    };
    const listener = () => void wait();
    lock.signal.addEventListener("abort", listener, { once: true });
    over.signal.addEventListener("abort", () => lock.signal.removeEventListener("abort", listener));
  });
  try {
    await Promise.race([committing, lost]);
  } finally {
    over.abort();
    lost.catch(() => {});
    committing.catch(() => {});
  }
}
