import { now } from "./event.js";

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
