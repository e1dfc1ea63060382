/** One child of a lock's node that holds the lock or waits for it. */
export interface Contender {
  readonly name: string;
  /** What the server counted, or -Infinity for the sole node, which goes before all others. */
  readonly sequence: number;
}

/** The node that `order: "none"` contends for by creating it. Curator sorts it first too: nothing follows its `lock-`. */
export const soleName = "lock-";
/** Where the server's counter stops, or goes on below zero. */
const lastSequence = 2 ** 31 - 1;
/** Of Curator, of its read-write lock and of kazoo, whatever comes before. */
const sequential = /(?:lock-|__)(-\d{9,10}|\d{10})$/;

/** Who stands in line, by sequence. Other children have nothing to do with the lock. */
export function contendersIn(children: readonly string[]): Contender[] {
  return children.flatMap((name) => contenderOf(name) ?? []).toSorted((one, other) => one.sequence - other.sequence);
}

function contenderOf(name: string): Contender | undefined {
  if (name === soleName) return { name, sequence: Number.NEGATIVE_INFINITY };
  const [, digits] = sequential.exec(name) ?? [];
  return digits === undefined ? undefined : { name, sequence: Number(digits) };
}

/** Whether the sequences alone say who came first, as they do until the counter is used up. */
export function isCounted(contenders: readonly Contender[]): boolean {
  return contenders.every(({ name, sequence }, place) => {
    const usual = name === soleName || (sequence >= 0 && sequence < lastSequence);
    return usual && sequence !== contenders[place - 1]?.sequence;
  });
}
