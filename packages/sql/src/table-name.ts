import { LockConfigError } from "@dlock/core";

/** SQLite would take a table called as one of its functions for that function, in every statement on the file. */
export function checkTable(table: unknown): string {
  if (typeof table === "string" && /^(?!sqlite_|json_each$)[a-z_]\w{0,49}$/i.test(table)) return table;
  throw new LockConfigError(
    "table",
    table,
    "a name of at most 50 letters, digits and underscores that is not SQLite's own",
  );
}
