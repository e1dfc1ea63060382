import type { Lock } from "@dlock/core";

/** ms for which a hold is certain from now on, or undefined when it is lost: the largest margin that `throwIfLost` lets pass. */
export function certainty(lock: Lock, most: number): number | undefined {
  if (!passes(lock, 0)) return undefined;
  let [least, beyond] = [0, Math.ceil(most) + 1];
  while (beyond - least > 1) {
    const middle = Math.floor((least + beyond) / 2);
    if (passes(lock, middle)) least = middle;
    else beyond = middle;
  }
  return least;
}

function passes(lock: Lock, margin: number): boolean {
  try {
    lock.throwIfLost(margin);
    return true;
  } catch {
    return false;
  }
}
