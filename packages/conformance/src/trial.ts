import { codeOfLaws } from "./code-of-laws.js";
import { Gate } from "./gate.js";
import type { Harness } from "./harness.js";
import { whySkipped, type Law } from "./law.js";
import { Stage } from "./stage.js";
import { within } from "./time.js";

/** One law, to be tried on one backend. */
export interface Trial {
  /** Stable. */
  readonly id: string;
  /** A sentence. */
  readonly title: string;
  /** Why the law does not apply. */
  readonly skip?: string | undefined;
  /** ms after which it has failed. */
  readonly limit: number;
  /** Rejects with an `AssertionError`, or whatever the backend failed with, when the law is broken. May run concurrently with others. */
  readonly run: () => Promise<void>;
}

/** The laws as data, in a stable order. */
export function laws(harness: Harness): readonly Trial[] {
  const gate = new Gate();
  return codeOfLaws.map((law) => {
    const limit = 10_000 + 50 * ((harness.timing?.ttl ?? 400) + (harness.timing?.slack ?? 300));
    return {
      id: law.id,
      title: law.title,
      skip: whySkipped(law, harness),
      limit,
      run: () => gate.pass(law.alone ?? false, () => within(limit, play(law, harness), law.title)),
    };
  });
}

async function play(law: Law, harness: Harness): Promise<void> {
  const stage = new Stage(harness);
  try {
    await law.run(stage);
  } finally {
    await stage.end();
  }
}
