import type { Alias, Peer } from "@dlock/conformance";
import { sqlProvider, type SqlOptions } from "@dlock/sql";
import type { Database } from "@dlock/testbed";
import createKnex from "knex";
import type { Knex } from "knex";
import { as, inside } from "./fresh-database.js";

interface Place {
  readonly url: string;
  readonly name: string;
  readonly options: SqlOptions;
  readonly role: string;
}

/** SQL that prepares a database, and the two ways. */
interface Pair {
  readonly title: string;
  readonly setUp?: readonly string[] | undefined;
  readonly ways: readonly [(place: Place) => Peer, (place: Place) => Peer];
}

const byUrl =
  (more: SqlOptions = {}) =>
  ({ url, options }: Place): Peer => {
    const provider = sqlProvider({ url }, { ...options, ...more });
    return { provider, close: () => provider.close() };
  };

const byKnex =
  (settings: Partial<Knex.Config>, more: SqlOptions = {}) =>
  ({ url, options }: Place): Peer => {
    const client = url.startsWith("postgres") ? "pg" : "mysql2";
    const knex = createKnex({ client, connection: url.replace(/^mariadb:/, "mysql:"), ...settings });
    const provider = sqlProvider(knex, { ...options, ...more });
    return { provider, close: () => provider.close().then(() => knex.destroy()) };
  };

const byRole = (place: Place): Peer => byUrl()({ ...place, url: as(place.role, place.url) });

const postgres: readonly Pair[] = [
  {
    title: "a lent knex with a search path, and a URL",
    setUp: ["CREATE SCHEMA a"],
    ways: [byKnex({ searchPath: ["a", "public"] }), byUrl()],
  },
  {
    title: "search paths in another order",
    setUp: ["CREATE SCHEMA a", "CREATE SCHEMA b"],
    ways: [byKnex({ searchPath: ["a", "b"] }), byKnex({ searchPath: "b" })],
  },
  { title: "the schema by name, and by default", ways: [byUrl({ schema: "public" }), byUrl()] },
  {
    title: "the schema by name, and a search path to it",
    setUp: ["CREATE SCHEMA a"],
    ways: [byUrl({ schema: "a" }), byKnex({ searchPath: ["nowhere", "a", "public"] })],
  },
];

/** Where another role may log in: a pooler knows one. */
const roles: readonly Pair[] = [
  {
    title: "a role with a schema of its own, and one without",
    setUp: ["CREATE SCHEMA :role AUTHORIZATION :role", "GRANT ALL ON SCHEMA public TO :role"],
    ways: [byRole, byUrl()],
  },
  {
    title: "one without, and a role with a schema of its own and rights to everything",
    setUp: [
      "CREATE SCHEMA :role AUTHORIZATION :role",
      "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO :role",
      "GRANT ALL ON SCHEMA public TO :role",
    ],
    ways: [byUrl(), byRole],
  },
  {
    title: "a role whose search path is set",
    setUp: [
      "CREATE SCHEMA a AUTHORIZATION :role",
      "GRANT ALL ON SCHEMA public TO :role",
      "ALTER ROLE :role SET search_path TO a, public",
    ],
    ways: [byRole, byUrl()],
  },
];

const mysql: readonly Pair[] = [
  {
    title: "the database by default, and by name",
    ways: [
      byUrl(),
      (place) => byUrl({ schema: place.name })({ ...place, url: inside(place.url, "information_schema") }),
    ],
  },
  {
    title: "a lent knex whose pool changes the database, and the database by name",
    ways: [
      (place) => {
        const afterCreate = (raw: Raw, done: Done) => raw.query(`USE ${place.name}`, done);
        const elsewhere = { ...place, url: inside(place.url, "information_schema") };
        return byKnex({ pool: { min: 0, max: 2, afterCreate } })(elsewhere);
      },
      (place) => byUrl({ schema: place.name })(place),
    ],
  },
];

type Done = (error: Error | null) => void;
interface Raw {
  query(sql: string, done: Done): void;
}

let databases = 0;

/** Pairs of configurations that lead to the same locks, each in a database of its own, which is gone when both are closed. */
export function aliasesOf(
  database: Database,
  options: SqlOptions,
  behind: { readonly url: string } = database,
): readonly Alias[] {
  const onPostgres = database.url.startsWith("postgres");
  const pairs = onPostgres ? [...postgres, ...(behind === database ? roles : [])] : mysql;
  return pairs.map(({ title, setUp = [], ways }) => {
    let [place, open]: [Promise<Place> | undefined, number] = [undefined, 0];
    const opening = (way: (place: Place) => Peer) => async (): Promise<Peer> => {
      const found = await (place ??= prepare(database, behind.url, options, setUp));
      open++;
      const peer = way(found);
      return {
        provider: peer.provider,
        close: async () => {
          await peer.close();
          if (--open === 0) await remove(database, found);
        },
      };
    };
    return { title, open: [opening(ways[0]), opening(ways[1])] };
  });
}

async function prepare(database: Database, url: string, options: SqlOptions, setUp: readonly string[]): Promise<Place> {
  const name = `alias_${process.pid}_${++databases}`;
  const role = `${name}_role`;
  await database.query(`CREATE DATABASE ${name}`);
  if (database.url.startsWith("postgres")) {
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    const knex = createKnex({ client: "pg", connection: inside(database.url, name), pool: { min: 0, max: 1 } });
    for (const sql of setUp) await knex.raw(sql.replaceAll(":role", role));
    await knex.destroy();
  }
  return { url: inside(url, name), name, options, role };
}

async function remove(database: Database, { name, role }: Place): Promise<void> {
  if (!database.url.startsWith("postgres")) return void (await database.query(`DROP DATABASE ${name}`));
  await database.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await database.query(`DROP ROLE ${role}`);
}
