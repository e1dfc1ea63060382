import type { Trial, Violation } from "../trial.js";

/** Processes that crashed, or did not come to their end by themselves: a timer or a socket was left. */
export function endings({ events }: Trial): readonly Violation[] {
  return events.flatMap((event) => {
    if (event.op !== "end" || event.how === "killed" || event.how === "left") return [];
    const what = `${event.proc} ${event.how === "crashed" ? "crashed" : "did not end"}: ${event.why ?? ""}`;
    return [{ checker: "endings", key: "", at: event.ts, what, holds: [], announced: false }];
  });
}
