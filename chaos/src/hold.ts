import type { LockMode } from "@dlock/core";
import type { Event } from "./event.js";

/** One attempt at a lock and what became of it, put together from a history. Times are those of the events. */
export interface Hold {
  readonly id: string;
  readonly proc: string;
  readonly key: string;
  readonly mode: LockMode;
  readonly limit: number;
  readonly alone: boolean;
  /** It is renewed for as long as it is held. */
  readonly renews: boolean;
  readonly invoked: number;
  /** When it has to give up by itself, if the lock is not to be had; its process may be late to notice. */
  readonly outOfPatience: number;
  /** It waited from here on. */
  waits: number | undefined;
  /** acquire() resolved. */
  resolved: number | undefined;
  /** acquire() ended without the lock, or nobody knows how. */
  refused: number | undefined;
  token: bigint | undefined;
  /** The first moment at which it was certain, checked after the grant. */
  granted: number | undefined;
  /** The last moment for which it was said to be certain. */
  certain: number;
  /** What happened first tells when the loss was told. */
  told: number | undefined;
  /** Why, as it was told. */
  lossReason: string | undefined;
  gaveUp: number | undefined;
  released: number | undefined;
  /** The end of its process, when that was killed. */
  died: number | undefined;
}

/** All attempts, in the order in which they were made. */
export function holdsOf(events: readonly Event[]): readonly Hold[] {
  const holds = new Map<string, Hold>();
  const died = new Map<string, number>();
  for (const event of events) {
    if (event.op === "end" && event.how === "killed") died.set(event.proc, event.ts);
    if (!("hold" in event)) continue;
    const hold = holds.get(event.hold);
    if (hold) follow(hold, event);
    else if (event.op === "acquire" && event.phase === "invoke") holds.set(event.hold, begun(event));
  }
  for (const hold of holds.values()) hold.died = died.get(hold.proc);
  return [...holds.values()];
}

function begun(event: Extract<Event, { op: "acquire"; phase: "invoke" }>): Hold {
  const { hold: id, proc, key, mode, limit, alone, renews, ts: invoked } = event;
  const outOfPatience = invoked + event.waitTimeout;
  const open = { waits: undefined, resolved: undefined, refused: undefined, token: undefined, granted: undefined };
  const end = { told: undefined, lossReason: undefined, gaveUp: undefined, released: undefined, died: undefined };
  return {
    id,
    proc,
    key,
    mode,
    limit,
    alone,
    renews,
    invoked,
    outOfPatience,
    certain: Number.NEGATIVE_INFINITY,
    ...open,
    ...end,
  };
}

function follow(hold: Hold, event: Event): void {
  if (event.op === "wait") hold.waits ??= event.ts;
  if (event.op === "claim") {
    hold.granted ??= event.ts;
    hold.certain = Math.max(hold.certain, event.until);
  }
  if (event.op === "lost") {
    hold.told ??= event.ts;
    hold.lossReason ??= event.why;
  }
  if (event.op === "acquire" && event.phase === "ok") {
    hold.resolved = event.ts;
    hold.token = BigInt(event.token);
  } else if (event.op === "acquire") hold.refused = event.ts;
  if (event.op === "release" && event.phase === "invoke") hold.gaveUp = event.ts;
  else if (event.op === "release") hold.released = event.ts;
}

/** A hold that was certain at least once. */
export type Held = Hold & { readonly granted: number; readonly token: bigint };

export function heldOf(holds: readonly Hold[]): readonly Held[] {
  const held = holds.filter((hold): hold is Held => hold.granted !== undefined && hold.token !== undefined);
  return held.toSorted((one, other) => one.granted - other.granted);
}

/** Up to when it claimed to be the holder. */
export function claimedUntil(hold: Hold): number {
  return Math.min(...[hold.gaveUp, hold.told, hold.died, hold.certain].filter((end) => end !== undefined));
}

/** Whether the two may not be held at the same time, however many others there are. */
export function conflict(one: Hold, other: Hold): boolean {
  return one.limit === 1 && (one.mode === "exclusive" || other.mode === "exclusive");
}

export function byKey<Value extends { readonly key: string }>(values: readonly Value[]): readonly (readonly Value[])[] {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const group = groups.get(value.key);
    if (group) group.push(value);
    else groups.set(value.key, [value]);
  }
  return [...groups.values()];
}
