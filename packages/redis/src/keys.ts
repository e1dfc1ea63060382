import { slotOf } from "./slot.js";
import { tagOf } from "./slot-tags.js";

/** The keys of one lock, all of them in the slot of the first, whatever braces its name has. */
export interface LockKeys {
  readonly slot: number;
  /** The lock string, the queue, the slot's fence counter: KEYS of the scripts, in this order. */
  readonly names: readonly string[];
}

export function keysOf(lock: string): LockKeys {
  const slot = slotOf(lock);
  const tag = `{${tagOf(slot)}}`;
  return { slot, names: [lock, `${tag}:dlock:queue:1:${lock}`, `${tag}:dlock:fence`] };
}

/** The lock string alone. */
export function lockOnly({ slot, names }: LockKeys): LockKeys {
  return { slot, names: names.slice(0, 1) };
}
