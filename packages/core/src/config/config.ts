import type { ProviderEntry } from "../provider.js";
import type { Requirements } from "../options.js";

/** A backend by its URL, and the options its adapter understands. */
export interface BackendEntry extends ProviderEntry {
  /** The package, or file, that exports `createProvider`, for schemes that dlock does not know; looked up from the configuration file's folder. */
  readonly adapter?: string | undefined;
  /** What this backend has to guarantee, else `LockConfigError`. */
  readonly require?: Requirements | undefined;
}

/** A majority of several backends. */
export interface QuorumEntry {
  readonly quorum: readonly Member[];
  readonly require?: Requirements | undefined;
  readonly [option: string]: unknown;
}

/** Two backends, both held, while a fleet moves from one to the other. */
export interface MigrateEntry {
  readonly migrate: { readonly from: Member; readonly to: Member };
  readonly require?: Requirements | undefined;
}

export type Entry = BackendEntry | QuorumEntry | MigrateEntry;

/** The name of a backend, a URL, or an entry. */
export type Member = string | Entry;

/** What a configuration file holds. `${NAME}` in a string is the environment's variable, `${NAME:-other}` has a default, `$${` is a plain `${`. */
export interface Config {
  /** For editors: where the JSON schema is. */
  readonly $schema?: string | undefined;
  /** By name; a string is a URL. */
  readonly backends: { readonly [name: string]: string | Entry };
  /** Of the keys without a route; may be left out where there is one backend only. */
  readonly default?: string | undefined;
  /** From key patterns to names of backends; `*` is any run of characters, and the most specific pattern wins. */
  readonly routes?: { readonly [pattern: string]: string } | undefined;
}
