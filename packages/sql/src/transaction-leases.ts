import { Connector } from "./connector.js";
import { settingsOf } from "./options.js";
import { knexSource } from "./server-source.js";
import { sqliteSchema } from "./sqlite-dialect.js";
import { sqlProvider, type VersionProvider } from "./sql-provider.js";
import { TableLocation } from "./table-location.js";
import type { OwnTransaction } from "./transaction.js";
import type { TransactionWait } from "./transaction-contention.js";
import { openVersion } from "./version-strategy.js";

/** Leases beside a transaction, on connections that begin as those of its knex do: what the transaction has set is not theirs. */
export interface TransactionLeases {
  readonly provider: VersionProvider;
  /** Resolves with the schema of the table, which is there then. */
  locate(until: number): Promise<string>;
  close(): Promise<void>;
}

export function openLeases(
  { client, family }: OwnTransaction,
  { table, schema }: Pick<TransactionWait, "table" | "schema">,
): TransactionLeases {
  if (family === "sqlite") {
    const provider = sqlProvider({ client }, { table, schema });
    return { provider, locate: async () => sqliteSchema, close: () => provider.close() };
  }
  const settings = settingsOf({ table, schema });
  const source = knexSource({ client });
  const location = new TableLocation(source, settings);
  const provider = openVersion({ ...settings, connector: new Connector(source), location });
  const locate = async (until: number) => {
    await provider.prepare(until);
    return location.schema;
  };
  return { provider, locate, close: () => provider.close() };
}
