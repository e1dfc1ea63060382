import { createLocks, type Locks, type LockProvider, type LocksOptions, type ProviderEntry } from "@dlock/core";
import { sqlProvider } from "@dlock/sql";
import knex from "knex";

/** Where locks are: as a configuration names it, or where a knex of the application leads. */
export type Entry = ProviderEntry | LentKnex;

interface LentKnex {
  readonly url?: undefined;
  readonly knex: { readonly connection: string; readonly searchPath: string };
}

export interface Opened {
  readonly locks: Locks;
  readonly close: () => Promise<void>;
}

/** Opens what an entry names, or what is given in its place. */
export async function openLocks(entry: Entry, options: LocksOptions = {}, instead?: LockProvider): Promise<Opened> {
  // The knex itself opens no connection: what it is told is what counts.
  const lent = entry.url === undefined ? sqlProvider(knex({ client: "pg", ...entry.knex })) : undefined;
  const provider = instead ?? lent;
  const locks = await createLocks(provider ?? (entry as ProviderEntry), options);
  const close = async (): Promise<void> => {
    await locks.close();
    await provider?.close?.();
  };
  return { locks, close };
}
