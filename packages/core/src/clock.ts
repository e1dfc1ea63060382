/** ms on a clock that never jumps; the origin of every deadline in dlock. Read at call time, so that fake timers work. */
export function monotonicNow(): number {
  return performance.now();
}
