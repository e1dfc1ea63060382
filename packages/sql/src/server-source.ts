import { createRequire } from "node:module";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { LockConfigError } from "@dlock/core";
import type { KnexLike } from "./knex-client.js";

/** Where a server is and with which driver it is spoken to. */
export interface ServerSource {
  readonly family: "postgres" | "mysql";
  /** The option that named the server, for errors, and the server without a password. */
  readonly field: string;
  readonly value: string;
  readonly driver: unknown;
  /** What the driver connects by: may change from one connection to the next, as short-lived passwords do. */
  settings(): Promise<object>;
  /** What a lent knex does to a connection that its pool opens. */
  prepare?(client: unknown): Promise<void>;
  /** Whether it does anything. */
  readonly changesSessions?: boolean | undefined;
  /** PostgreSQL: the schemas that a lent knex looks in. Only our table is looked for there, once: it is never set. */
  readonly searchPath?: readonly string[] | undefined;
}

interface LentClient {
  readonly driverName?: string | undefined;
  readonly driver?: unknown;
  readonly config: {
    readonly connection?: unknown;
    readonly searchPath?: unknown;
    readonly pool?: { readonly afterCreate?: unknown } | undefined;
  };
}

const families: Readonly<Record<string, ServerSource["family"]>> = { pg: "postgres", mysql2: "mysql" };

/** What a URL names; the driver is loaded here, and only here. */
export function urlSource(field: string, url: string): ServerSource {
  const postgres = /^postgres(ql)?:/i.test(url);
  const driver = load(postgres ? "pg" : "mysql2");
  const settings = postgres ? { connectionString: url } : { uri: url.replace(/^mariadb:/i, "mysql:") };
  const value = url.replace(/\?.*$/s, "").replace(/\/\/.*@/s, "//…@");
  return { family: postgres ? "postgres" : "mysql", field, value, driver, settings: async () => settings };
}

/** What a lent knex connects to, with its driver: its pool may be full of the application's queries, and is not used. */
export function knexSource(lent: KnexLike): ServerSource {
  if (lent.isTransaction) {
    throw new LockConfigError("knex", "a transaction", "the knex it belongs to: its rollback would undo locks");
  }
  const client = lent.client as LentClient;
  const family = families[client.driverName ?? ""];
  if (family === undefined) throw new LockConfigError("knex", client.driverName, 'a knex with client "pg" or "mysql2"');
  const { connection, searchPath, pool } = client.config;
  if (typeof connection !== "function" && (typeof connection !== "object" || connection === null)) {
    throw new LockConfigError("knex", "no connection", "a knex that was told how to connect (connection)");
  }
  const settings = async () => {
    const given: unknown = typeof connection === "function" ? await connection() : connection;
    if (typeof given === "string") return family === "postgres" ? { connectionString: given } : { uri: given };
    // knex hides the password from enumeration; the other one is meant for knex, and mysql2 would warn of it.
    const { password, expirationChecker: _, ...rest } = given as Readonly<Record<string, unknown>>;
    return { ...rest, ...(password === undefined ? {} : { password }) };
  };
  const changesSessions = typeof pool?.afterCreate === "function";
  const path = family === "postgres" && searchPath ? namesIn([searchPath].flat()) : [];
  const prepare = async (raw: unknown) => {
    if (typeof pool?.afterCreate === "function") await promisify(pool.afterCreate as AfterCreate)(raw);
  };
  return {
    family,
    field: "knex",
    value: "its connection",
    driver: client.driver,
    settings,
    prepare,
    changesSessions,
    searchPath: path.length > 0 ? path : undefined,
  };
}

type AfterCreate = (raw: unknown, done: (error: Error | null) => void) => void;

/** As knex would quote them. */
function namesIn(path: readonly unknown[]): readonly string[] {
  return path.flatMap((part) => String(part).split(",")).map((name) => name.trim());
}

/** From beside this package, else from the application's folder. */
function load(name: "pg" | "mysql2"): unknown {
  let trouble: unknown;
  for (const from of [import.meta.url, ...["package.json", process.argv[1] ?? ""].map((path) => resolve(path))]) {
    try {
      return createRequire(from)(name) as unknown;
    } catch (error) {
      trouble ??= error;
    }
  }
  throw new LockConfigError("driver", name, `the driver to be installed: npm install ${name}`, undefined, trouble);
}
