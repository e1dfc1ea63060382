import { LockConfigError } from "@dlock/core";
import { advisoryNumber } from "./advisory.js";
import type { OwnTransaction } from "./transaction.js";
import { contend, poll, type TransactionWait } from "./transaction-contention.js";

/** The strategy `advisory` in a transaction: the number that its holders lock, locked until the transaction ends. */
export async function lockAdvisory(trx: OwnTransaction, wait: TransactionWait): Promise<void> {
  if (trx.family === "mysql") {
    const accepted =
      "another one: MySQL and MariaDB free what GET_LOCK took with the connection, not with the transaction";
    throw new LockConfigError("strategy", "advisory", accepted, wait.key);
  }
  await trx.checkIsolation();
  // Without waiting: a wait that times out would end the transaction.
  const sql = "SELECT 1 WHERE pg_catalog.pg_try_advisory_xact_lock(CAST(? AS bigint))";
  const number = advisoryNumber(wait.table, wait.key);
  await contend(wait, async () => (await trx.count(sql, [number])) > 0, poll());
}
