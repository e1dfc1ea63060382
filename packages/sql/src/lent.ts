import type { OwnTransaction } from "./transaction.js";
import type { TransactionWait } from "./transaction-contention.js";

/** ms for which connections are kept after their last use. */
const idle = 1_000;

interface Closable {
  close(): Promise<void>;
}

interface Shared {
  readonly value: Closable;
  users: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** By the configuration of the knex they are made from, which is one for all its transactions, then by name. */
const lent = new WeakMap<object, Map<string, Shared>>();

export interface Loan<Value> {
  readonly value: Value;
  /** To be called once. */
  readonly giveBack: () => void;
}

/** The same for all transactions that name the same tables. */
export function lentName(strategy: string, { table, schema }: Pick<TransactionWait, "table" | "schema">): string {
  return JSON.stringify([strategy, schema ?? null, table]);
}

/** What works beside the application's transactions, on connections of its own: one per knex and name, closed soon after the last use. */
export function lend<Value extends Closable>(trx: OwnTransaction, name: string, open: () => Value): Loan<Value> {
  const all = lent.get(trx.client.config) ?? new Map<string, Shared>();
  lent.set(trx.client.config, all);
  const shared = all.get(name) ?? { value: open(), users: 0, timer: undefined };
  all.set(name, shared);
  shared.users += 1;
  clearTimeout(shared.timer);
  const giveBack = () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    shared.timer = setTimeout(() => {
      all.delete(name);
      void shared.value.close();
    }, idle);
    shared.timer.unref?.();
  };
  // By this name the same `open` made it.
  return { value: shared.value as Value, giveBack };
}
