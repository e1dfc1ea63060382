import { LockConfigError } from "@dlock/core";

export function checkTable(table: unknown): string {
  if (typeof table === "string" && /^(?!sqlite_)[a-z_]\w{0,49}$/i.test(table)) return table;
  throw new LockConfigError(
    "table",
    table,
    "a name of at most 50 letters, digits and underscores that is not SQLite's own",
  );
}
