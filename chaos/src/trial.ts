import type { Guarantees } from "@dlock/core";
import type { Event } from "./event.js";
import { type Held, heldOf, type Hold, holdsOf } from "./hold.js";
import { type Incident, incidentsOf } from "./incident.js";

/** What checkers look at. */
export interface Trial extends Terms {
  readonly events: readonly Event[];
  readonly holds: readonly Hold[];
  /** In the order of their grants. */
  readonly held: readonly Held[];
  readonly incidents: readonly Incident[];
}

export interface Terms {
  readonly guarantees: Pick<Guarantees, "order" | "fencing" | "alive">;
  readonly ttl: number;
  readonly recovery: number;
  /** ms for which a dead waiter may hold up the line. */
  readonly deadWaiter: number;
  /** Names of faults by which the backend may forget what it acknowledged. */
  readonly forgetting: readonly string[];
  /** Names of faults by which the last tokens are gone, and of those that move the clock. */
  readonly losingTokens: readonly string[];
  readonly movingClock: readonly string[];
  /** Names of faults that end connections. */
  readonly cutting: readonly string[];
  /** Names of faults during which the sessions of the dead do not age, and after which they begin anew to. */
  readonly keepingSessions: readonly string[];
  /** Names of faults to which no hold that is renewed may be lost. */
  readonly sparingHolds: readonly string[];
}

export interface Violation {
  readonly checker: string;
  readonly key: string;
  readonly at: number;
  readonly what: string;
  /** The attempts that are part of it: their lines tell the story. */
  readonly holds: readonly string[];
  /** The guarantees say that this happens: after a fault by which the backend may forget. */
  readonly announced: boolean;
}

export type Checker = (trial: Trial) => readonly Violation[];

export function trialOf(events: readonly Event[], terms: Terms): Trial {
  const holds = holdsOf(events);
  return { ...terms, events, holds, held: heldOf(holds), incidents: incidentsOf(events) };
}

/** ms that the news of a connection's end may take longer to a holder than to the server, and from there to the next one. */
const news = 100;

/** Whether it lost its connection, and the next one was granted the lock before that was heard of here, but not much. */
export function wasCutOff(trial: Trial, { granted, told, gaveUp }: Held, next: number): boolean {
  const { incidents, cutting, guarantees } = trial;
  const over = Math.min(told ?? Number.POSITIVE_INFINITY, gaveUp ?? Number.POSITIVE_INFINITY);
  if (guarantees.alive !== "connection" || over > next + news) return false;
  return incidents.some(({ fault, begun, healed }) => cutting.includes(fault) && begun <= next && healed >= granted);
}

/** Whether what was granted at `from` may have been forgotten by `to`. */
export function mayBeForgotten({ incidents, forgetting }: Trial, from: number, to: number): boolean {
  return incidents.some(({ fault, begun, healed }) => forgetting.includes(fault) && begun <= to && healed >= from);
}
