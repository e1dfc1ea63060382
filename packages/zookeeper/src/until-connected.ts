import type { Session } from "./session.js";
import { failedWith } from "./failure.js";
import { monotonicNow } from "@dlock/core";

/** ms; asked for again for as long as the session lasts. */
const patience = 60_000;

/** Does what can be done twice on one connection after another until one lasts; rejects with CONNECTION_LOSS at `until` (monotonic ms; default: never). */
export async function untilConnected<Value>(
  session: Session,
  work: () => Promise<Value>,
  until: number = Number.POSITIVE_INFINITY,
): Promise<Value> {
  for (;;) {
    try {
      await session.ready(Math.min(until, monotonicNow() + patience));
      return await work();
    } catch (error) {
      if (!failedWith(error, "CONNECTION_LOSS") || monotonicNow() >= until) throw error;
    }
  }
}
