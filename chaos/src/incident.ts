import type { Event } from "./event.js";

/** One fault that was injected, and when. */
export interface Incident {
  readonly id: number;
  readonly fault: string;
  /** From here on it may be in effect. */
  readonly begun: number;
  healed: number;
  /** It was. */
  struck: boolean;
  /** It hit nothing, as was seen when it was healed. */
  missed: boolean;
}

export function incidentsOf(events: readonly Event[]): readonly Incident[] {
  const incidents = new Map<number, Incident>();
  for (const event of events) {
    if (event.op !== "fault") continue;
    const { id, fault, ts, phase } = event;
    const incident = incidents.get(id);
    if (!incident)
      incidents.set(id, { id, fault, begun: ts, healed: Number.POSITIVE_INFINITY, struck: false, missed: false });
    else if (phase === "ok") incident.struck = true;
    else {
      incident.healed = ts;
      incident.missed = event.missed ?? phase === "fail";
    }
  }
  return [...incidents.values()];
}

/** Whether a fault was under way at any moment between the two, or a while before. */
export function during(incidents: readonly Incident[], from: number, to: number, after: number): boolean {
  return incidents.some(({ begun, healed }) => begun <= to && healed + after >= from);
}
