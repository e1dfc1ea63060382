import { LockConfigError } from "@dlock/core";
import type { ApplicationKnex } from "./application-knex.js";

interface Rights {
  readonly role: string;
  readonly selects: unknown;
  readonly updates: unknown;
}

const rights = `SELECT CAST(current_user AS pg_catalog.text) AS role,
  pg_catalog.has_table_privilege(class.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(class.oid, 'SELECT') AS selects,
  pg_catalog.has_table_privilege(class.oid, 'UPDATE') OR pg_catalog.has_any_column_privilege(class.oid, 'UPDATE') AS updates
FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
WHERE class.relname = ? AND `;
const visible = "pg_catalog.pg_table_is_visible(class.oid)";
const inSpace = "space.nspname = ? AND pg_catalog.has_schema_privilege(space.oid, 'USAGE')";

/**
 * Refuses a table to which a transaction of PostgreSQL does not lead, or that its role may not use: the statement that finds that out
 * would be the end of the transaction. Anywhere else it is the end of the statement, and nothing is asked.
 */
export async function checkReach(knex: ApplicationKnex, table: string): Promise<void> {
  if (!knex.isTransaction || (knex.client as { readonly dialect?: unknown }).dialect !== "postgresql") return;
  // As knex writes it, which may call it otherwise.
  const written = String(knex.raw("??", [table]));
  const [, space, name] = /^(?:"((?:[^"]|"")*)"\.)?"((?:[^"]|"")*)"$/.exec(written) ?? [];
  // Of another form than a name, or a name with its schema: it is for knex to make something of it.
  if (name === undefined) return;
  const answer = await (space === undefined
    ? knex.raw(rights + visible, [plain(name)])
    : knex.raw(rights + inSpace, [plain(name), plain(space)]));
  const found = (answer as { readonly rows?: readonly Rights[] } | undefined)?.rows;
  // A knex that reshapes answers: its own statement will tell.
  if (found === undefined) return;
  const [right] = found;
  if (right === undefined)
    throw new LockConfigError("table", table, "one that the role and the search_path of the transaction lead to");
  const denied = (value: unknown) => value === false || value === "f";
  if (denied(right.selects) || denied(right.updates))
    throw new LockConfigError("table", table, `one that role ${right.role} may SELECT and UPDATE`);
}

function plain(quoted: string): string {
  return quoted.replaceAll('""', '"');
}
