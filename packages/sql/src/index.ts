export { createProvider } from "./create-provider.js";
export type { KnexLike } from "./knex-client.js";
export type { SqlOptions, Strategy } from "./options.js";
export { type SqlDialect, schema } from "./schema.js";
export { sqlProvider } from "./sql-provider.js";
export type { SqliteFile, SqlProvider, SqlServer, VersionProvider } from "./sql-provider.js";
export type { ApplicationKnex } from "./application-knex.js";
export { conditionalUpdate, type ConditionalRow } from "./conditional-update.js";
export { fencedUpdate, type FencedRow } from "./fenced-update.js";
export { lockInTransaction, type TransactionLockOptions } from "./lock-in-transaction.js";
export {
  lockedTransaction,
  type LockedTask,
  type LockedTransactionOptions,
  type TransactionalKnex,
} from "./locked-transaction.js";
export { type Change, type OptimisticOptions, optimisticUpdate, type VersionedRow } from "./optimistic-update.js";
export { RowConflictError, type RowKey, RowMissingError, StaleTokenError } from "./row-errors.js";
export type { RowPlace } from "./row.js";
export type { ApplicationTransaction } from "./transaction.js";
