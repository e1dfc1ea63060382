import { withEach, type Where } from "./backend.js";
import { type Guarantees, type Shortfall, shortfalls } from "./guarantees.js";
import { knownBackends } from "./known-backends.js";
import type { Requirements } from "./options.js";

export interface Candidate {
  /** The name in the configuration, or of a kind of backend. */
  readonly name: string;
  readonly guarantees: Guarantees;
}

export interface Recommendation {
  /** Those that give what is required, the fastest first. */
  readonly fitting: readonly Candidate[];
  /** Those that do not, and where they fall short. */
  readonly others: readonly (Candidate & { readonly shortfalls: readonly Shortfall[] })[];
}

/** Which backends of a configuration give what is required, or without it which of all that dlock knows. Connects to none. Rejects with `LockConfigError`. */
export async function recommend(requirements: Requirements, where?: Where): Promise<Recommendation> {
  const candidates = where === undefined ? knownBackends : await guaranteesOf(where);
  const judged = candidates.map((candidate) => ({
    ...candidate,
    shortfalls: shortfalls(candidate.guarantees, requirements),
  }));
  return {
    fitting: judged
      .filter((each) => each.shortfalls.length === 0)
      .map(({ name, guarantees }) => ({ name, guarantees })),
    others: judged.filter((each) => each.shortfalls.length > 0),
  };
}

function guaranteesOf(where: Where): Promise<readonly Candidate[]> {
  return withEach(where, (backends) =>
    backends
      .toSorted((one, other) => compare(one.cost, other.cost))
      .map(({ name, provider }) => ({ name, guarantees: provider.guarantees })),
  );
}

/** Infinities have no difference. */
function compare(one: number, other: number): number {
  return one === other ? 0 : one - other;
}
