import { slotOf } from "./slot.js";
import { tagOf } from "./slot-tags.js";

/** The keys of one lock, all of them in the slot of the first, whatever braces its name has. */
export interface LockKeys {
  readonly slot: number;
  /** The lock string, the queue, the slot's fence counter, and where several hold their ends and their fences: KEYS of the scripts, in this order. */
  readonly names: readonly string[];
}

/** The lock's own name is shared with other libraries. All others have a NUL, which no key of a user has. */
export function keysOf(lock: string): LockKeys {
  const slot = slotOf(lock);
  const own = `{${tagOf(slot)}}\0dlock`;
  const of = (what: string) => `${own}:${what}:2:${lock}`;
  return { slot, names: [lock, of("queue"), `${own}:fence`, of("holders"), of("fences")] };
}

/** What a renewal needs: the lock string alone, or what there is of several who hold. */
export function heldKeys({ slot, names }: LockKeys, { alone }: { readonly alone: boolean }): LockKeys {
  return { slot, names: alone ? names.slice(0, 1) : [...names.slice(0, 1), ...names.slice(3)] };
}
