import { Connector } from "./connector.js";
import { Counters } from "./counters.js";
import { putSchema } from "./in-schema.js";
import { lend, lentName } from "./lent.js";
import { gateOf, lockRows, type LockRows } from "./lock-row.js";
import { codeOf } from "./server-failure.js";
import { knexSource } from "./server-source.js";
import { TableLocation } from "./table-location.js";
import type { OwnTransaction } from "./transaction.js";
import { contend, poll, type TransactionWait } from "./transaction-contention.js";

/** MySQL: a duplicate; one that waited for whoever locked the first one. */
const wasFaster: readonly unknown[] = [1062, 1205];

/** The strategy `for-update` in a transaction: the row that its holders lock, locked in the same way. */
export async function lockRow(trx: OwnTransaction, wait: TransactionWait): Promise<void> {
  await trx.checkIsolation();
  const sql = lockRows(trx.family === "mysql" ? "mysql" : "postgres", wait.table);
  const { value: rows, giveBack } = lend(trx, lentName("for-update", wait), () => new Rows(trx, wait, sql));
  const take = sql.take.exclusive.replace(":key", "?").replace(":gate", "?");
  let mayLock = false;
  const gate = trx.family === "postgres" ? [gateOf(wait.table, wait.key)] : [];
  const attempt = async (deadline: number) => {
    // Each time, for rows are tidied away. To look for one that is not there would lock the gap in which others insert it.
    await rows.ensure(wait.key, deadline);
    if (!mayLock) await trx.checkRights(rows.schema, sql.name);
    mayLock = true;
    return (await trx.count(putSchema(take, trx.quote(rows.schema)), [trx.stored(wait.key), ...gate])) > 0;
  };
  try {
    await contend(wait, attempt, poll());
  } finally {
    giveBack();
  }
}

/** The rows, beside the transaction: inserted in it, one would have everybody else wait for it to end. */
class Rows {
  readonly #connector: Connector;
  readonly #location: TableLocation;
  readonly #counters: Counters;
  readonly #sql: LockRows;
  readonly #ensuring = new Map<string, Promise<void>>();

  constructor({ client }: OwnTransaction, { table, schema }: TransactionWait, sql: LockRows) {
    const source = knexSource({ client });
    this.#location = new TableLocation(source, { table, schema, emit: () => {} });
    this.#connector = new Connector(source);
    this.#counters = new Counters(this.#connector, this.#location, [sql]);
    this.#sql = sql;
  }

  /** Once a row was ensured. */
  get schema(): string {
    return this.#location.schema;
  }

  /** Inserts it unless it is there. Once at a time: on MySQL a second insert waits for whoever has locked the row of the first. */
  ensure(key: string, until: number): Promise<void> {
    const known = this.#ensuring.get(key);
    if (known !== undefined) return known;
    const ensuring = this.#ensure(key, until).finally(() => this.#ensuring.delete(key));
    this.#ensuring.set(key, ensuring);
    return ensuring;
  }

  async #ensure(key: string, until: number): Promise<void> {
    const bindings = { key: this.#counters.stored(key) };
    if ((await this.#counters.query(this.#sql.look, bindings, until)).rows.length > 0) return;
    await this.#counters.query(this.#sql.insert, bindings, until).catch((error: unknown) => {
      if (!wasFaster.includes(codeOf(error))) throw error;
    });
  }

  close(): Promise<void> {
    return this.#connector.close();
  }
}
