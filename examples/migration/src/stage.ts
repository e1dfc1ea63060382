import type { Config, Entry } from "@dlock/core";

/** Two backends, by names that stay what they are, whichever way a fleet moves. */
export interface Backends {
  readonly [name: string]: string | Entry;
}

/** The configuration of a process that uses one backend. */
export function only(backends: Backends, name: string): Config {
  return { backends, default: name };
}

/** The configuration of a process on its way. */
export function both(backends: Backends, from: string, to: string): Config {
  return { backends: { ...backends, moving: { migrate: { from, to } } }, default: "moving" };
}
