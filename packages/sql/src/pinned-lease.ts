import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type Claim, LockConfigError, monotonicNow } from "@dlock/core";
import type { Connection } from "./knex-client.js";
import { putSchema } from "./in-schema.js";
import { lend, lentName } from "./lent.js";
import { codeOf } from "./server-failure.js";
import { sqliteDialect, sqliteSchema } from "./sqlite-dialect.js";
import { takeWriteLock } from "./sqlite-write-lock.js";
import type { OwnTransaction } from "./transaction.js";
import { openLeases } from "./transaction-leases.js";
import { contend, poll, type TransactionWait } from "./transaction-contention.js";

/** ms from the lease to the pin. Also how long a lock that a dead transaction had pinned stays out of reach. */
const ttl = 2_000;

/** What a transaction has pinned: the last claim of each key. */
const pins = new WeakMap<object, Map<string, string>>();

/** What PostgreSQL and MariaDB may say of a row that changed after the transaction's snapshot; mostly it is just not found. */
const behind: readonly unknown[] = ["40001", 1020];

/**
 * The strategy `version` in a transaction: an ordinary lease, taken on a connection of our own, which the transaction then
 * pins by giving it up, uncommitted. The row lock keeps everybody out until the transaction ends, however long the lease.
 * To lock the row of a lease that others hold would be wrong: they could not renew it, and InnoDB never lets go of it.
 */
export async function pinLease(trx: OwnTransaction, wait: TransactionWait): Promise<void> {
  const { key, table } = wait;
  const mine = pins.get(trx.outermost) ?? new Map<string, string>();
  pins.set(trx.outermost, mine);
  const { value: leases, giveBack } = lend(trx, lentName("version", wait), () => openLeases(trx, wait));
  const { provider } = leases;
  let [name, had, mayPin] = ["", false, false];
  /** Whether the transaction has the lock already. */
  const begin = async (deadline: number) => {
    const schema = await leases.locate(deadline);
    name = JSON.stringify([schema, table, key]);
    const before = mine.get(name);
    // Else it would wait for itself; but a savepoint that was rolled back has undone its pins.
    if (before === undefined) return false;
    await trx.checkRights(schema, table);
    return (had = await pin(trx, wait, schema, before));
  };
  // With an earlier lock it became the only one that writes: nobody takes a lease now, not even we beside it.
  if (trx.family === "sqlite" && mine.size > 0) {
    const held = putSchema(sqliteDialect(table).holder, sqliteSchema).replace(":key", "?");
    const isFree = async (deadline: number) => {
      if (await begin(deadline)) return true;
      await takeWriteLock((await trx.connection()) as Connection, tableIn(trx, sqliteSchema, table), deadline);
      return (await trx.count(held, [key])) === 0;
    };
    await contend(wait, isFree, poll()).finally(giveBack);
    return;
  }
  const owner = `${hostname()}:${process.pid} in a transaction`;
  const id = randomUUID();
  const claim = provider.claim({ key, id, owner, ttl, mode: "exclusive", limit: 1, join: true });
  const attempt = async (deadline: number) => {
    if (name === "" && (await begin(deadline))) return true;
    const schema = await leases.locate(deadline);
    for (let token = await claim.tryAcquire(deadline); token !== undefined;) {
      if (wait.signal?.aborted || monotonicNow() >= deadline) return false;
      // Before it is sent: when nobody waits for the answer any more, the next call would have the transaction wait for itself.
      mine.set(name, id);
      // Not before: above READ COMMITTED the first look is what the transaction goes on seeing.
      if (!mayPin) await trx.checkRights(schema, table);
      mayPin = true;
      if (await pin(trx, wait, schema, id)) return true;
      mine.delete(name);
      const now = await claim.tryAcquire(deadline);
      // The row is as it was, and yet the transaction does not find it.
      if (now === token) throw tooLate(key);
      token = now;
    }
    return false;
  };
  let trying = Promise.resolve(false);
  const leave = async () => {
    // Freed by a commit already. After a rollback the lease is what it was, and nobody renews it.
    if ((await trying.catch(() => false)) && !had) await trx.ended;
    await giveUp(claim);
    giveBack();
  };
  try {
    await contend(
      wait,
      (deadline) => (trying = attempt(deadline)),
      (signal) => (claim.waitTurn ?? poll()).call(claim, signal),
    );
  } finally {
    void leave();
  }
}

/** false: the lease had ended before it could be pinned. Where it is pinned already, it stays so: then the claim stands as its owner. */
async function pin(
  trx: OwnTransaction,
  { key, table }: TransactionWait,
  schema: string,
  claim: string,
): Promise<boolean> {
  const [name, column] = [tableIn(trx, schema, table), trx.quote("key")];
  if (trx.family === "sqlite") {
    await takeWriteLock((await trx.connection()) as Connection, name, monotonicNow() + ttl / 2);
  }
  const sql = `UPDATE ${name} SET claim = '', owner = ?, expires = 0
WHERE ${column} = ? AND (claim = ? OR (claim = '' AND owner = ?))`;
  try {
    return (await trx.count(sql, [claim, trx.stored(key), claim, claim])) === 1;
  } catch (error) {
    if (!behind.includes(codeOf(error))) throw error;
    throw tooLate(key, error);
  }
}

function tableIn(trx: OwnTransaction, schema: string, table: string): string {
  return `${trx.quote(schema)}.${trx.quote(table)}`;
}

function tooLate(key: string, cause?: unknown): LockConfigError {
  const accepted = "a transaction that takes its lock before it reads: this one goes on seeing what was there before";
  return new LockConfigError("trx", "a snapshot", accepted, key, cause);
}

/** What it cannot free now ends by itself. */
async function giveUp(claim: Claim): Promise<void> {
  await claim.release().catch(() => {});
}
