import { uptime } from "node:os";
import { monotonicNow } from "./clock.js";

// Bound at load: under fake timers these clocks stand still while the machine's do not.
const machineNow = performance.now.bind(performance);
const wallNow = Date.now.bind(Date);
// /proc/uptime counts in 10 ms; elsewhere the uptime may count in seconds.
const resolution = process.platform === "linux" ? 100 : 2_000;

/** The moment before a request is sent: what is promised in the answer counts from here. */
export class Moment {
  /** Monotonic ms. */
  readonly at: number = monotonicNow();
  readonly #ahead = uptimeAhead();

  /** Whether the machine slept since: its monotonic clock stood still meanwhile, the server's did not. */
  get sleptSince(): boolean {
    return uptimeAhead() - this.#ahead > resolution;
  }
}

let known = { wall: Number.NaN, uptime: 0 };

/** ms by which the uptime, which counts sleep, is ahead of the monotonic clock. The wall clock, which is cheap to read, tells whether that can have changed. */
function uptimeAhead(): number {
  const wall = wallNow() - machineNow();
  if (!(Math.abs(wall - known.wall) < resolution / 2)) known = { wall, uptime: uptime() * 1_000 - machineNow() };
  return known.uptime;
}
