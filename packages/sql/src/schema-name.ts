import { LockConfigError } from "@dlock/core";

type Family = "postgres" | "mysql" | "sqlite";

/** What a server would cut off behind it: silently, or so that two names become one. */
const longest = { postgres: 63, mysql: 64 } as const;
const systems = {
  postgres: /^(pg_.*|information_schema)$/,
  mysql: /^(information_schema|performance_schema|mysql|sys)$/i,
} as const;

/** The name of a schema; on MySQL and MariaDB, of a database. Taken as it is written: it is always quoted. */
export function checkSchema(family: Family, schema: unknown): string {
  if (family === "sqlite") {
    if (schema === "main") return schema;
    throw new LockConfigError("schema", schema, '"main", or nothing: an SQLite file has one schema; name another file');
  }
  const size = typeof schema === "string" ? Buffer.byteLength(schema) : 0;
  // A question mark would be a placeholder in statements that pass through a knex.
  if (typeof schema !== "string" || size === 0 || size > longest[family] || /\p{Cc}|[?\\]|^ | $/u.test(schema)) {
    const accepted = `a name of at most ${longest[family]} bytes, without control characters, ? and \\, and not between spaces`;
    throw new LockConfigError("schema", schema, accepted);
  }
  if (schema === "$user")
    throw new LockConfigError("schema", schema, "the name of one schema: $user is another one for each role");
  if (systems[family].test(schema)) throw new LockConfigError("schema", schema, "one that is not the server's own");
  return schema;
}
