import type { LockMode } from "@dlock/core";

/** What a claim asks for, as far as others in line have to know it. */
export interface Terms {
  readonly mode: LockMode;
  /** 1 unless a semaphore. */
  readonly limit: number;
}

/** One child of a lock's node that holds the lock or waits for it. */
export interface Contender extends Terms {
  readonly name: string;
  /** What the server counted, or -Infinity for the sole node, which goes before all others. */
  readonly sequence: number;
  /** Of the node in whose place this one is, if it is not the first there: an exclusive hold that was downgraded. */
  readonly czxid: bigint | undefined;
}

/** The node that `order: "none"` contends for by creating it. Curator sorts it first too: nothing follows its `lock-`. */
export const soleName = "lock-";
/** Where the server's counter stops, or goes on below zero. */
const lastSequence = 2 ** 31 - 1;
/** Of Curator, of its read-write lock and of kazoo, whatever comes before. */
const sequential = /(?:lock-|__)(-\d{9,10}|\d{10})$/;
/** Of Curator's read-write lock, and of kazoo's. */
const reader = /__(?:READ|rlock)__-?\d+$/;
const permit = /-limit-([1-9]\d{0,15})-lock--?\d+$/;
const downgraded = /-([1-9]\d{0,18})-__READ__\d+$/;

/** The name of a node up to what the server counts. `writer`: what exclusive ones are called. */
export function stemOf(guid: string, { mode, limit }: Terms, writer: string): string {
  const kind = limit === 1 ? writer : `limit-${limit}-lock-`;
  return `_c_${guid}-${mode === "shared" ? "__READ__" : kind}`;
}

/** The name of the reader that takes the place of an exclusive node. */
export function downgradedName(
  guid: string,
  { name, czxid }: { readonly name: string; readonly czxid: bigint },
): string {
  return `_c_${guid}-${czxid}-__READ__${sequential.exec(name)?.[1]}`;
}

/** Who stands in line, by sequence. Other children have nothing to do with the lock. */
export function contendersIn(children: readonly string[]): Contender[] {
  return children.flatMap((name) => contenderOf(name) ?? []).toSorted(byNumber);
}

export function contenderOf(name: string): Contender | undefined {
  const alone = { name, mode: "exclusive", limit: 1, czxid: undefined } as const;
  if (name === soleName) return { ...alone, sequence: Number.NEGATIVE_INFINITY };
  const [, digits] = sequential.exec(name) ?? [];
  if (digits === undefined) return undefined;
  const sequence = Number(digits);
  const [, czxid] = downgraded.exec(name) ?? [];
  if (reader.test(name)) {
    return { ...alone, sequence, mode: "shared", czxid: czxid === undefined ? undefined : BigInt(czxid) };
  }
  return { ...alone, sequence, limit: Number(permit.exec(name)?.[1] ?? 1) };
}

/** Whether the sequences alone say who came first, as they do until the counter is used up. */
export function isCounted(contenders: readonly Contender[]): boolean {
  return contenders.every(({ name, sequence, mode, czxid }, place) => {
    const usual = name === soleName || (sequence >= 0 && sequence < lastSequence);
    const before = contenders[place - 1];
    // A writer of Curator that reads too has two nodes of one number.
    const pair = before?.mode === "exclusive" && mode === "shared" && czxid === undefined;
    return usual && (pair || sequence !== before?.sequence);
  });
}

function byNumber(one: Contender, other: Contender): number {
  return one.sequence - other.sequence || Number(one.mode === "shared") - Number(other.mode === "shared");
}
