import type { AcquireOptions } from "@dlock/core";
import { type Brief, limit } from "./brief.js";
import type { Random } from "./random.js";

/** How many ttl a backend may be silent, and a request be worth anything. */
export const patience = 2;

/** What a worker tries next. */
export interface Plan {
  readonly key: string;
  readonly options: AcquireOptions & {
    readonly mode: "exclusive" | "shared";
    readonly limit: number;
    readonly autoRenew: boolean;
    readonly waitTimeout: number;
  };
  /** ms */
  readonly holdFor: number;
  /** It stands in line by itself, as a process of its own would. */
  readonly alone: boolean;
  /** It writes what it guards: only who is alone may. */
  readonly writes: boolean;
}

export function planNext(random: Random, { keys, ttl, pace }: Brief): Plan {
  const key = random.pick([...keys.exclusive, ...keys.shared, ...keys.limited]);
  const limited = keys.limited.includes(key);
  const mode = keys.shared.includes(key) && random.chance(0.7) ? "shared" : "exclusive";
  const waitTimeout = random.chance(0.1) ? 0 : random.between(0, random.pick([0.3, 5, 5])) * pace;
  return {
    key,
    options: {
      mode,
      limit: limited ? limit : 1,
      ttl,
      autoRenew: random.chance(0.93),
      waitTimeout,
      backendTimeout: patience * ttl,
    },
    // Most sections are short, and some end around the ttl or beyond it.
    holdFor: random.chance(0.93) ? random.between(0, 8) : random.between(0.5, 3.5) * pace,
    alone: waitTimeout > 0 && random.chance(0.7),
    writes: mode === "exclusive" && !limited,
  };
}
