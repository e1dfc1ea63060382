/**
 * Stands before the name of a table of ours in the text of a statement: `{schema}."dlock_leases"`. The schema (on MySQL and
 * MariaDB the database) is put there when it is known, so that no statement depends on where names of a session lead.
 */
export const inSchema = "{schema}.";

/** `schema` is quoted; left out, the name stands alone, for whoever runs the text where he likes. */
export function putSchema(sql: string, schema?: string): string {
  return sql.replaceAll(inSchema, () => (schema === undefined ? "" : `${schema}.`));
}

export function quoteName(family: "postgres" | "mysql", name: string): string {
  return family === "postgres" ? `"${name.replaceAll('"', '""')}"` : `\`${name.replaceAll("`", "``")}\``;
}
