/** ms before the next try after `failures` failures: doubling from 10 up to `longest`, the upper half of it random, so that many do not try in step. */
export function backoff(failures: number, longest = 1_000): number {
  const ceiling = Math.min(longest, 10 * 2 ** Math.min(failures, 20));
  return ceiling * (0.5 + Math.random() / 2);
}
