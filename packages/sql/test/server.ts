import { sqlProvider, type SqlOptions, type VersionProvider } from "@dlock/sql";
import { type Database, isSelected, openMariadb, openMysql, openPostgres } from "@dlock/testbed";
import createKnex from "knex";
import type { Knex } from "knex";
import { afterAll, onTestFinished } from "vitest";
import { sleep } from "./store.js";

export type ServerName = "postgres" | "mariadb" | "mysql";

export interface Server {
  readonly name: ServerName;
  readonly postgres: boolean;
  readonly database: Database;
}

const openers = { postgres: openPostgres, mariadb: openMariadb, mysql: openMysql };

/** Those that are selected, for all tests of the file. */
export async function openServers(...names: readonly ServerName[]): Promise<readonly Server[]> {
  const selected = names.filter((name) => isSelected(name));
  return Promise.all(
    selected.map(async (name) => {
      const database = await openers[name]();
      afterAll(() => database.stop());
      return { name, postgres: name === "postgres", database };
    }),
  );
}

/** Gone after the test. */
export function provide(url: string, options: SqlOptions & { readonly strategy?: "version" } = {}): VersionProvider {
  const provider = sqlProvider({ url }, options);
  onTestFinished(() => provider.close());
  return provider;
}

/** The application's knex; gone after the test. */
export function application(url: string, settings: Partial<Knex.Config> = {}): Knex {
  const client = url.startsWith("postgres") ? "pg" : "mysql2";
  const knex = createKnex({
    client,
    connection: url.replace(/^mariadb:/, "mysql:"),
    log: { warn: () => {} },
    ...settings,
  });
  onTestFinished(() => knex.destroy());
  return knex;
}

export const keyColumn = ({ postgres }: Server): string => (postgres ? "key" : "`key`");

/** The server's microseconds, as its tables have them. */
export const micros = ({ postgres }: Pick<Server, "postgres">): string =>
  postgres
    ? "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
    : "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";

let names = 0;
export const newKey = (): string => `key ${process.pid} ${++names}`;
/** A table of the test's own, which the provider has yet to make. */
export const newTable = (): string => `t_${process.pid}_${++names}`;

/** Waits for a condition, asking every few ms. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition()); await sleep(10)) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition.toString()}`);
  }
}
