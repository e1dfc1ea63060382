import { LockConfigError } from "@dlock/core";

/** What PostgreSQL puts the role's name in place of. */
const userEntry = "$user";

/** What a session says about where names lead, and where a table of the name is. */
export interface Surroundings {
  readonly table: string;
  /** The schemas of the search path, in its order, `$user` among them. */
  readonly path: readonly string[];
  /** Whom `$user` stands for. */
  readonly roles: readonly string[];
  /** Every schema of the path that exists, and every one of the database that has the table. */
  readonly found: ReadonlyMap<string, { readonly hasTable: boolean }>;
}

/** The schemas that a `search_path` names. */
export function schemasOf(path: string): readonly string[] {
  return [...path.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(
    ([, quoted, plain = ""]) => quoted?.replaceAll('""', '"') ?? plain.toLowerCase(),
  );
}

/**
 * The schema of the table, by a search path that may be another one for each role. A table that is there wins; a second one of
 * its name is never made beside it. Throws `LockConfigError` where two configurations could come to different answers.
 */
export function chooseSchema({ table, path, roles, found }: Surroundings): { schema: string; exists: boolean } {
  const own = path.filter((name) => name !== userEntry && !isSystem(name) && found.has(name));
  const [target] = own;
  const having = [...found].filter(([name, { hasTable }]) => hasTable && !isSystem(name)).map(([name]) => name);
  const byName = having.filter((name) => own.includes(name));
  const byRole = path.includes(userEntry)
    ? having.filter((name) => roles.includes(name) && !byName.includes(name))
    : [];
  const led = [...byName, ...byRole];
  if (led.length > 1)
    throw refuse(`?schema= with one of ${list(led)}: the search_path leads to a table "${table}" in each of them`);
  const [schema] = byName;
  if (schema !== undefined) return { schema, exists: true };
  if (byRole.length > 0)
    throw refuse(
      `?schema=${list(byRole)}, if the table "${table}" there is meant: only "$user" leads to it, which is another schema for every other role`,
    );
  if (having.length > 0)
    throw refuse(
      `?schema= with ${list(having)}, where a table "${table}" is to which this search_path (${path.join(", ")}) does not lead, or with ${target ?? "a schema"} for locks apart from those`,
    );
  if (target === undefined)
    throw refuse(
      `?schema=: no schema of the search_path (${path.join(", ")}) exists, apart from what "$user" stands for`,
    );
  return { schema: target, exists: false };
}

/** Temporary tables are in one of these too. */
export function isSystem(name: string): boolean {
  return name.startsWith("pg_") || name === "information_schema";
}

function refuse(accepted: string): LockConfigError {
  return new LockConfigError("schema", "not given", accepted);
}

function list(names: readonly string[]): string {
  return [...new Set(names)].join(", ");
}
