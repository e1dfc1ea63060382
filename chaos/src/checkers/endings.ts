import type { Trial, Violation } from "../trial.js";

const did = { crashed: "crashed", stuck: "did not end", heard: "left something behind" } as const;

/** Processes that crashed, or did not come to their end by themselves: a timer or a socket was left; and listeners. */
export function endings({ events }: Trial): readonly Violation[] {
  return events.flatMap((event) => {
    if (event.op !== "end" || event.how === "killed" || event.how === "left") return [];
    const what = `${event.proc} ${did[event.how]}: ${event.why ?? ""}`;
    return [{ checker: "endings", key: "", at: event.ts, what, holds: [], announced: false }];
  });
}
