export { createProvider } from "./create-provider.js";
export type { KnexLike } from "./knex-client.js";
export type { SqlProvider } from "./lease-provider.js";
export { type SqlDialect, schema } from "./schema.js";
export { sqlProvider } from "./sql-provider.js";
export type { SqliteFile, SqlOptions } from "./sql-provider.js";
