import { LockConfigError } from "@dlock/core";
import { checkSchema } from "./schema-name.js";
import type { Located, Search } from "./table-location.js";

/** Without case, since some servers fold it: the database then has the name that it was created with. */
const databases = `SELECT schema_name AS name, @@lower_case_table_names AS folds, COALESCE(NULLIF(:named, ''), DATABASE()) AS wanted,
  EXISTS (SELECT 1 FROM information_schema.tables AS found WHERE found.table_schema = schema_name AND found.table_name = :table) AS has
FROM information_schema.schemata WHERE LOWER(schema_name) = LOWER(COALESCE(NULLIF(:named, ''), DATABASE()))`;

/** The database of the connection as it was configured, unless another one is asked for. */
export async function locateInMysql({ table, named, known, ask }: Search): Promise<Located> {
  const rows = await ask(databases, { named: named ?? known ?? "", table });
  const row = rows.find(({ name, wanted }) => name === wanted) ?? rows.find(({ folds }) => Number(folds) > 0);
  if (row !== undefined) return { schema: checkSchema("mysql", row["name"]), exists: Number(row["has"]) > 0 };
  if (named === undefined)
    throw new LockConfigError("schema", "not given", "the database of the table: the connection has none");
  throw new LockConfigError("schema", named, "a database that is there and that this user may use");
}
