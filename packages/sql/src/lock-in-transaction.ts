import { checkDuration, checkFields, checkKey, checkOneOf, monotonicNow, type Signal } from "@dlock/core";
import { defaultTable, type Strategy, strategyNames } from "./options.js";
import { pinLease } from "./pinned-lease.js";
import { checkSchema } from "./schema-name.js";
import { checkTable } from "./table-name.js";
import { type ApplicationTransaction, OwnTransaction } from "./transaction.js";
import { lockAdvisory } from "./transaction-advisory.js";
import type { TransactionWait } from "./transaction-contention.js";
import { lockRow } from "./transaction-row.js";

export interface TransactionLockOptions {
  /** ms to wait; 0: one try. Default: for ever. */
  readonly waitTimeout?: number | undefined;
  /** Cancels the wait with its own reason. */
  readonly signal?: Signal | undefined;
  /** That of the provider whose holders are excluded; default `version`. */
  readonly strategy?: Strategy | undefined;
  /** Likewise; default `dlock_leases`. */
  readonly table?: string | undefined;
  /** Likewise; default as for a provider that has the knex of the transaction, whatever the transaction has set. */
  readonly schema?: string | undefined;
}

type Take = (trx: OwnTransaction, wait: TransactionWait) => Promise<void>;
const takes: Readonly<Record<Strategy, Take>> = { version: pinLease, "for-update": lockRow, advisory: lockAdvisory };

/**
 * Takes the lock in the application's own transaction, whose commit or rollback gives it up. It excludes every holder of the
 * key under the same strategy and table. When it is not free in time, it rejects with `LockTimeoutError` and leaves the transaction as it was.
 */
export async function lockInTransaction(
  trx: ApplicationTransaction,
  key: string,
  options: TransactionLockOptions = {},
): Promise<void> {
  checkFields("options", options, ["waitTimeout", "signal", "strategy", "table", "schema"]);
  const {
    waitTimeout = Number.POSITIVE_INFINITY,
    signal,
    strategy = "version",
    table = defaultTable,
    schema,
  } = options;
  const own = new OwnTransaction(trx);
  checkOneOf("strategy", strategy, own.family === "sqlite" ? ["version"] : strategyNames);
  if (schema !== undefined) checkSchema(own.family, schema);
  checkDuration("waitTimeout", waitTimeout, 0, checkKey(key));
  const end = waitTimeout === 0 ? Number.POSITIVE_INFINITY : monotonicNow() + waitTimeout;
  await takes[strategy](own, { key, table: checkTable(table), schema, waitTimeout, end, signal });
}
