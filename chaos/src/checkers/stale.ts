import type { RegisterName } from "../event.js";
import type { Trial, Violation } from "../trial.js";

/** What a register took from a holder after it had taken something from a later one. Tokens play no part in it. */
export function staleWrites(trial: Trial, register: RegisterName): readonly Violation[] {
  const granted = new Map(trial.held.map((hold) => [hold.id, hold.granted]));
  const latest = new Map<string, { readonly hold: string; readonly at: number }>();
  return trial.events.flatMap((event) => {
    if (event.op !== "take" || event.register !== register) return [];
    const { key, hold, ts } = event;
    const at = granted.get(hold) ?? Number.NEGATIVE_INFINITY;
    const before = latest.get(key);
    if (!before || before.at <= at) {
      latest.set(key, { hold, at });
      return [];
    }
    const what = `the ${register} register took from ${hold} after it had taken from ${before.hold}, a later holder`;
    return [{ checker: "stale", key, at: ts, what, holds: [before.hold, hold], announced: false }];
  });
}

/** By the register that remembers tokens: never. */
export function stale(trial: Trial): readonly Violation[] {
  return staleWrites(trial, "fenced");
}
