import { createLocks, LockConfigError, type Locks } from "@dlock/core";
import { sqlProvider, type SqlOptions, type SqlProvider } from "@dlock/sql";
import type { Knex } from "knex";
import { expect, onTestFinished } from "vitest";
import { application, type Server } from "./server.js";

let names = 0;
/** A name for a database, role or schema of the test's own. */
export const newName = (kind: string): string => `${kind}_${process.pid}_${++names}`;

export interface FreshDatabase {
  readonly name: string;
  readonly url: string;
  /** One after another, on one connection. */
  readonly query: (...sql: readonly string[]) => Promise<void>;
  /** Every table of the name, with its schema. */
  readonly tables: (name?: string) => Promise<readonly string[]>;
}

/** A database of the test's own, on the server or behind what stands in front of it; dropped with all that it holds. */
export async function freshDatabase({ postgres, database }: Server, url = database.url): Promise<FreshDatabase> {
  const name = newName("d");
  await database.query(`CREATE DATABASE ${name}`);
  onTestFinished(async () => {
    await database.query(postgres ? `DROP DATABASE ${name} WITH (FORCE)` : `DROP DATABASE ${name}`);
    for (const role of roles.splice(0)) await database.query(`DROP ROLE ${role}`);
  });
  const knex = application(inside(database.url, name), { pool: { min: 0, max: 1 } });
  return {
    name,
    url: inside(url, name),
    query: async (...sql) => {
      for (const one of sql) await knex.raw(one);
    },
    tables: async (table = "dlock_leases") => {
      const found = (await knex("information_schema.tables")
        .where({ table_name: table })
        .select(knex.raw("table_schema AS home"))
        .orderBy("home")) as { home: string }[];
      return found.map(({ home }) => home);
    },
  };
}

export function inside(url: string, database: string): string {
  return url.replace(/\/[^/]*$/, `/${database}`);
}

/** The same URL for another role. */
export function as(role: string, url: string): string {
  return url.replace(/\/\/[^@]*@/, `//${role}:x@`);
}

const roles: string[] = [];

/** A role that may log in; gone with the database of the test, where it has rights. */
export async function newRole({ database }: Server): Promise<string> {
  const role = newName("r");
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  roles.push(role);
  return role;
}

/** Gone after the test. */
export function opened(where: string | Knex, options: SqlOptions = {}): SqlProvider {
  const provider = sqlProvider(typeof where === "string" ? { url: where } : where, options);
  onTestFinished(() => provider.close());
  return provider;
}

export async function locksOf(provider: SqlProvider): Promise<Locks> {
  const locks = await createLocks(provider, { ttl: 3_000, backendTimeout: 2_000 });
  onTestFinished(() => locks.close());
  return locks;
}

/** Whatever two configurations make of each other: one hold, or a refusal. Never two holds, whoever comes first. */
export async function expectNeverBoth(one: Locks, other: Locks, key: string): Promise<void> {
  const refused = (error: unknown) => {
    expect(error).toBeInstanceOf(LockConfigError);
    return undefined;
  };
  // At once, when there is no table yet; then in turn.
  const both = await Promise.all([one, other].map((locks) => locks.tryAcquire(key).catch(refused)));
  expect(both.filter((lock) => lock !== undefined).length).toBeLessThan(2);
  for (const lock of both) await lock?.release();
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const lock = await first.tryAcquire(key).catch(refused);
    const too = await second.tryAcquire(key).catch(refused);
    expect([lock, too]).toContain(undefined);
    await lock?.release();
    await too?.release();
  }
}
