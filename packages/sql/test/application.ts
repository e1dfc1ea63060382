import { createRequire } from "node:module";
import { join } from "node:path";
import { type Database, isSelected, openMariadb, openMysql, openPostgres } from "@dlock/testbed";
import createKnex from "knex";
import type { Knex } from "knex";
import { afterAll, onTestFinished } from "vitest";
import { directory } from "./store.js";

const require = createRequire(import.meta.url);
const Base = require("knex/lib/dialects/better-sqlite3/index.js") as typeof Knex.Client;

/** As an application on libsql has it. */
export class Libsql extends Base {
  _driver(): unknown {
    return require("libsql");
  }
}

type ServerName = "postgres" | "mariadb" | "mysql";
const openers = { postgres: openPostgres, mariadb: openMariadb, mysql: openMysql };

export interface Application {
  readonly name: "sqlite" | ServerName;
  /** The server, unless it is a file. */
  readonly database: Database | undefined;
  /** A knex of the application's; gone after the test. */
  knex(settings?: Partial<Knex.Config>): Promise<Knex>;
}

/** Databases that run for all tests of the file. */
export async function applications(): Promise<readonly Application[]> {
  const names = ["sqlite", "postgres", "mariadb", "mysql"] as const;
  const wanted = names.filter((name) => name === "sqlite" || isSelected(name));
  return Promise.all(wanted.map((name) => (name === "sqlite" ? onFile() : onServer(name))));
}

async function onServer(name: ServerName): Promise<Application> {
  const database = await openers[name]();
  afterAll(() => database.stop());
  return { name, database, knex: async (settings) => knexFor(name, database.url, settings) };
}

/** A knex on a URL of that database, which may be a link's or a pooler's; gone after the test. */
export function knexFor(name: ServerName, url: string, settings: Partial<Knex.Config> = {}): Knex {
  const connection = name === "postgres" ? url : url.replace("mariadb:", "mysql:");
  return disposed(createKnex({ client: name === "postgres" ? "pg" : "mysql2", connection, log: silent, ...settings }));
}

export function knexOnFile(filename: string, settings: Partial<Knex.Config> = {}): Knex {
  const connection = { filename };
  return disposed(createKnex({ client: Libsql, connection, useNullAsDefault: true, log: silent, ...settings }));
}

async function onFile(): Promise<Application> {
  const knex = async (settings: Partial<Knex.Config> = {}) => knexOnFile(join(directory(), "application.db"), settings);
  return { name: "sqlite", database: undefined, knex };
}

function disposed(knex: Knex): Knex {
  onTestFinished(() => knex.destroy());
  return knex;
}

const silent = { warn: () => {}, error: () => {} };
