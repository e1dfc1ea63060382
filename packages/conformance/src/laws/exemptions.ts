import type { Guarantees } from "@dlock/core";

// By which entry of the guarantees a provider need not obey; `undefined`: it has to.

export function unshared({ modes }: Pick<Guarantees, "modes">): string | undefined {
  return modes.includes("shared") ? undefined : "modes: without shared";
}

export function single({ modes }: Pick<Guarantees, "modes">): string | undefined {
  return modes.includes("semaphore") ? undefined : "modes: without semaphore";
}

export function unleased({ alive }: Pick<Guarantees, "alive">): string | undefined {
  return alive === "lease" ? undefined : `alive: ${alive}`;
}

export function leased({ alive }: Pick<Guarantees, "alive">): string | undefined {
  return alive === "lease" ? "alive: lease" : undefined;
}

export function unordered({ order }: Pick<Guarantees, "order">): string | undefined {
  return order === "none" ? "order: none" : undefined;
}

export function polling({ waiting }: Pick<Guarantees, "waiting">): string | undefined {
  return waiting === "poll" ? "waiting: poll" : undefined;
}
