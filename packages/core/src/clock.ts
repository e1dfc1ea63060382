import { uptime } from "node:os";

/** ms on a clock that never jumps; the origin of every deadline in dlock. Read at call time, so that fake timers work. */
export function monotonicNow(): number {
  return performance.now();
}

// Bound at load: under fake timers these clocks stand still while the machine's do not.
const machineNow = performance.now.bind(performance);
const wallNow = Date.now.bind(Date);
// /proc/uptime counts in 10 ms; elsewhere the uptime may count in seconds.
const resolution = process.platform === "linux" ? 100 : 2_000;

/** Notices that the machine slept: the monotonic clock of Linux stands still meanwhile, the uptime does not, and neither do servers. */
export class SleepWatch {
  #ahead = uptimeAhead();

  /** Whether the machine slept since the last look. */
  slept(): boolean {
    const before = this.#ahead;
    this.#ahead = uptimeAhead();
    return this.#ahead - before > resolution;
  }
}

let known = { wall: Number.NaN, uptime: 0 };

/** ms by which the uptime is ahead of the monotonic clock. The wall clock, which is cheap to read, tells whether it can have changed. */
function uptimeAhead(): number {
  const wall = wallNow() - machineNow();
  if (!(Math.abs(wall - known.wall) < resolution / 2)) known = { wall, uptime: uptime() * 1_000 - machineNow() };
  return known.uptime;
}
