import { LockConfigError } from "@dlock/core";
import { checkSchema } from "./schema-name.js";
import { chooseSchema, isSystem, schemasOf } from "./search-path.js";
import type { Located, Search } from "./table-location.js";

/** `reset_val` is what the session began with, by its role, database and server: nobody else's SET is in it. */
const names = `SELECT pg_catalog.current_setting('search_path') AS path,
  (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path') AS start,
  CAST(current_user AS pg_catalog.text) AS role, CAST(session_user AS pg_catalog.text) AS login`;
// The catalog shows tables too that this role may not use.
const schemas = `SELECT space.nspname AS name, class.oid IS NOT NULL AS has
FROM pg_catalog.pg_namespace AS space LEFT JOIN pg_catalog.pg_class AS class
  ON class.relnamespace = space.oid AND class.relname = :table AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE space.nspname IN (:names) OR class.oid IS NOT NULL`;

export async function locateInPostgres({ source, table, named, known, direct, emit, ask }: Search): Promise<Located> {
  const [session = {}] = await ask(names, {});
  // Behind a pooler the session may have been anybody's.
  const path = source.changesSessions && direct ? session["path"] : session["start"];
  const fixed = named ?? known;
  const search = fixed === undefined ? (source.searchPath ?? schemasOf(String(path))) : [fixed];
  const roles = [session["role"], session["login"]].map(String);
  const rows = await ask(schemas, { names: [...search, ...roles], table });
  const found = new Map(rows.map(({ name, has }) => [String(name), { hasTable: has === "t" }]));
  if (named !== undefined) {
    const there = found.get(named);
    if (there !== undefined) return { schema: named, exists: there.hasTable };
    throw new LockConfigError("schema", named, `a schema of this database: CREATE SCHEMA makes one, dlock does not`);
  }
  const { schema, exists } = chooseSchema({ table, path: search, roles, found });
  const others = [...found]
    .filter(([name, { hasTable }]) => hasTable && name !== schema && !isSystem(name))
    .map(([name]) => name);
  if (others.length > 0) {
    const message = `locks are kept in ${schema}.${table}; a table "${table}" is in ${others.join(", ")} too, and whoever uses that one is not excluded`;
    emit({ code: "TABLE_ELSEWHERE", message });
  }
  return { schema: checkSchema("postgres", schema), exists };
}
