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
  /** Names of faults during which the sessions of the dead do not age, and after which they begin anew to. */
  readonly keepingSessions: readonly string[];
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

/** Whether what was granted at `from` may have been forgotten by `to`. */
export function mayBeForgotten({ incidents, forgetting }: Trial, from: number, to: number): boolean {
  return incidents.some(({ fault, begun, healed }) => forgetting.includes(fault) && begun <= to && healed >= from);
}
