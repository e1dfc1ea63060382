import { LockConfigError } from "../errors.js";
import { type Guarantees, values } from "../guarantees.js";
import type { LockProvider } from "../provider.js";

/** What all of them guarantee: of each entry the weakest, of the modes those that all have. */
export function weakest(all: readonly Guarantees[]): Guarantees {
  const least = <Entry extends Exclude<keyof Guarantees, "modes">>(entry: Entry): Guarantees[Entry] => {
    const order: readonly unknown[] = values[entry];
    const last = Math.max(...all.map((one) => order.indexOf(one[entry])));
    return values[entry][last] as Guarantees[Entry]; // each value is in its order
  };
  return {
    exclusion: least("exclusion"),
    failover: least("failover"),
    fencing: least("fencing"),
    alive: least("alive"),
    order: least("order"),
    waiting: least("waiting"),
    modes: values.modes.filter((mode) => all.every(({ modes }) => modes.includes(mode))),
  };
}

/** Whether the provider's claims, to whatever key, can raise the tokens to come. Making a claim has no effect. */
export function canRaise(provider: LockProvider): boolean {
  const [mode = "exclusive"] = provider.guarantees.modes.filter((offered) => offered !== "semaphore");
  try {
    const claim = provider.claim({ key: "-", id: "-", owner: "-", ttl: 30_000, mode, limit: 1, join: false });
    return claim.raise !== undefined;
  } catch {
    // It has no route for this key.
    return false;
  }
}

/** Throws `LockConfigError` for what is no provider. */
export function checkProvider(field: string, provider: unknown): LockProvider {
  if (typeof provider === "object" && provider !== null && "claim" in provider && "guarantees" in provider) {
    return provider as LockProvider;
  }
  throw new LockConfigError(field, provider, "a LockProvider");
}
