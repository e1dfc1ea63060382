import type { Bindings, Row } from "./database.js";
import type { Connection } from "./knex-client.js";

/**
 * One statement, or several that belong together, with a semicolon at the end of a line between them, in a transaction of
 * their own, start to end within this call; the rows of the last one. Not left to autocommit: under libsql a
 * prepared statement that met a locked database stays open, and what follows it on the connection reports success, is
 * not committed and keeps everybody else out. `exec` leaves nothing open, and after BEGIN IMMEDIATE nothing is busy.
 */
export function runAlone(connection: Connection, sql: string, bindings: Bindings): readonly Row[] {
  if (sql.startsWith("SELECT")) return connection.prepare(sql).all(bindings) as Row[];
  connection.exec("BEGIN IMMEDIATE");
  try {
    let rows: readonly unknown[] = [];
    for (const one of sql.split(";\n")) {
      const statement = connection.prepare(one);
      rows = statement.reader ? statement.all(bindings) : [];
      if (!statement.reader) statement.run(bindings);
    }
    connection.exec("COMMIT");
    return rows as Row[];
  } catch (error) {
    rollBack(connection);
    throw error;
  }
}

function rollBack(connection: Connection): void {
  try {
    connection.exec("ROLLBACK");
  } catch {
    // SQLite has done so already, after a failed COMMIT or on a full disk.
  }
}
