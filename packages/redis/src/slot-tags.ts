import { slotOf, slots } from "./slot.js";

const tags = new Map<number, string>();
let tried = 0;

/**
 * The hash tag of the slot: the first number, written in base 36, that hashes to it. Part of the layout. Looked for when
 * it is needed: a fraction of a millisecond, some 50 ms for all slots together.
 */
export function tagOf(slot: number): string {
  for (let tag = tags.get(slot); ; tag = tags.get(slot)) {
    if (tag !== undefined) return tag;
    if (tags.size === slots) throw new RangeError(`there is no slot ${slot}`);
    const next = (tried++).toString(36);
    const hit = slotOf(next);
    if (!tags.has(hit)) tags.set(hit, next);
  }
}
