import type { Guarantees } from "@dlock/core";
import type { Harness, Offer } from "./harness.js";
import type { Stage } from "./stage.js";

/** A member of the harness that not every backend can lend. */
type Ability = "openLinked" | "server.restart" | "server.failover" | "server.pause" | "spawn" | "residue" | "aliases";

/** One sentence that holds for every provider, and how to find out whether it does. */
export interface Law {
  /** Stable. */
  readonly id: string;
  /** A sentence. */
  readonly title: string;
  readonly needs?: readonly Ability[] | undefined;
  /** It is about an optional member. */
  readonly offer?: Offer | undefined;
  /** A hold has to end by itself: for an unrenewed lease nothing is needed, a session has to be parted from its server. */
  readonly lapses?: boolean | undefined;
  /** The entry of the guarantees, if any, by which a provider need not obey. */
  readonly exempt?: ((guarantees: Guarantees) => string | undefined) | undefined;
  /** It disturbs everybody, or measures what others disturb. */
  readonly alone?: boolean | undefined;
  readonly run: (stage: Stage) => Promise<void>;
}

/** Why the law does not apply here; `undefined`: it does. */
export function whySkipped(law: Law, harness: Harness): string | undefined {
  const entry = law.exempt?.(harness.guarantees);
  if (entry !== undefined) return `guarantees ${entry}`;
  if (law.offer !== undefined && !offers(harness, law.offer)) return `provider offers no ${law.offer}`;
  const parting: readonly Ability[] = law.lapses && harness.guarantees.alive !== "lease" ? ["openLinked"] : [];
  const missing = [...(law.needs ?? []), ...parting].find((ability) => !lends(harness, ability));
  return missing === undefined ? undefined : `harness lends no ${missing}`;
}

export function offers(harness: Harness, offer: Offer): boolean {
  return (offer === "waitTurn" && harness.guarantees.waiting === "push") || (harness.offers ?? []).includes(offer);
}

function lends(harness: Harness, ability: Ability): boolean {
  switch (ability) {
    case "server.restart":
      return harness.server?.restart !== undefined;
    case "server.failover":
      return harness.server?.failover !== undefined;
    case "server.pause":
      return harness.server?.pause !== undefined;
    case "openLinked":
    case "spawn":
    case "residue":
    case "aliases":
      return harness[ability] !== undefined;
  }
}
