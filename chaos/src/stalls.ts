import { type Event, now } from "./event.js";

export interface Stall {
  readonly from: number;
  readonly to: number;
}

const every = 3;
const noticed = 7;

/** Tells when the event loop stood still, and since when: a process that did not run cannot have been told anything. */
export function watchStalls(tell: (from: number, to: number) => void): () => void {
  let last = now();
  const timer = setInterval(() => {
    const from = last;
    last = now();
    if (last - from > noticed) tell(from, last);
  }, every);
  timer.unref();
  return () => clearInterval(timer);
}

/** By the name of the process that stood still. */
export function stallsOf({ events }: { readonly events: readonly Event[] }): ReadonlyMap<string, readonly Stall[]> {
  const stalls = new Map<string, Stall[]>();
  for (const event of events) {
    if (event.op !== "stall") continue;
    const known = stalls.get(event.proc) ?? [];
    stalls.set(event.proc, known);
    known.push({ from: event.from, to: event.ts });
  }
  return stalls;
}
