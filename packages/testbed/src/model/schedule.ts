import fc from "fast-check";
import type { Terms } from "./reference.js";

interface Step {
  readonly does: "ask" | "release" | "downgrade";
  readonly claim: number;
}

/** What a few claims of one key do, one after the other. */
export interface Schedule {
  readonly claims: readonly (Terms & { readonly join: boolean; readonly peer: number })[];
  readonly steps: readonly Step[];
}

const claims = 6;

const readersAndWriters = fc.array(
  fc.constantFrom<Terms>({ mode: "shared", limit: 1 }, { mode: "exclusive", limit: 1 }),
  { minLength: claims, maxLength: claims },
);
const usersOfSemaphore = fc
  .integer({ min: 1, max: 4 })
  .map((limit) => Array<Terms>(claims).fill({ mode: "exclusive", limit }));

const step: fc.Arbitrary<Step> = fc.record({
  // Asking is what most waiters do most of the time.
  does: fc.constantFrom("ask", "ask", "ask", "release", "release", "downgrade"),
  claim: fc.nat(claims - 1),
});

/** The same ones for the same seed, of readers and writers, or of users of a semaphore where there are any. */
export function schedules(count: number, seed: number, semaphores: boolean): readonly Schedule[] {
  const terms = semaphores ? fc.oneof(readersAndWriters, usersOfSemaphore) : readersAndWriters;
  const waits = fc.array(fc.record({ join: fc.boolean(), peer: fc.nat(1) }), { minLength: claims, maxLength: claims });
  const schedule = fc.record({ terms, waits, steps: fc.array(step, { minLength: 10, maxLength: 30 }) });
  return fc.sample(schedule, { numRuns: count, seed }).map(({ terms: wanted, waits: ways, steps }) => ({
    claims: wanted.map((each, index) => ({ ...each, ...(ways[index] as { join: boolean; peer: number }) })),
    steps,
  }));
}
