import type { Harness } from "./harness.js";
import { laws } from "./trial.js";

/** `test` of vitest, node:test, Jest or Bun, `it` of mocha. */
export interface TestFunction {
  (title: string, run: () => Promise<void>, limit?: number): unknown;
  skip(title: string, run: () => Promise<void>): unknown;
}

/** Declares one test per law. What does not apply is skipped, with the reason in the title. */
export function conformance(test: TestFunction, harness: Harness): void {
  for (const { title, skip, limit, run } of laws(harness)) {
    if (skip !== undefined) {
      test.skip(`${title} (${skip})`, run);
      continue;
    }
    const declared = test(title, run, limit);
    // mocha takes no third argument, but returns the test; node:test has no limit of its own.
    if (isMocha(declared)) declared.timeout(limit);
  }
}

function isMocha(declared: unknown): declared is { timeout(ms: number): void } {
  return (
    typeof declared === "object" && declared !== null && "timeout" in declared && typeof declared.timeout === "function"
  );
}
