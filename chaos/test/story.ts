import type { Event } from "../src/event.js";
import { type Terms, type Trial, trialOf } from "../src/trial.js";

type Said = Event extends infer One ? (One extends Event ? Omit<One, "proc" | "ts"> : never) : never;

export type Line = readonly [ts: number, proc: string, said: Said];

/** A made-up history: what each process said, and when (ms). */
export function story(...lines: readonly Line[]): readonly Event[] {
  return lines.map(([ts, proc, said]) => ({ ts, proc, ...said }) as Event);
}

const key = "k";

interface Stay {
  readonly hold: string;
  readonly token: number;
  readonly from: number;
  /** Up to when it claims to be certain. */
  readonly until: number;
  /** When it gives it up, if it does. */
  readonly gaveUp?: number;
  readonly told?: number;
  readonly mode?: "exclusive" | "shared";
  readonly limit?: number;
  readonly renews?: boolean;
}

/** One hold from its attempt to its end; its process is the first letter of its name. */
export function stay({
  hold,
  token,
  from,
  until,
  gaveUp,
  told,
  mode = "exclusive",
  limit = 1,
  renews = true,
}: Stay): readonly Event[] {
  const proc = hold.slice(0, 1);
  return [
    ...story(
      [
        from - 2,
        proc,
        { op: "acquire", phase: "invoke", hold, key, mode, limit, waitTimeout: 10_000, alone: true, renews },
      ],
      [from - 1, proc, { op: "acquire", phase: "ok", hold, key, token: String(token) }],
      [from, proc, { op: "claim", hold, key, until }],
    ),
    ...(told === undefined ? [] : story([told, proc, { op: "lost", by: "signal", hold, key }])),
    ...(gaveUp === undefined ? [] : story([gaveUp, proc, { op: "release", phase: "invoke", hold, key }])),
  ];
}

export function fault(name: string, begun: number, healed: number, id = 1): readonly Event[] {
  const said = (phase: "invoke" | "ok" | "healed") => ({ op: "fault", phase, id, fault: name }) as const;
  return story([begun, "nemesis", said("invoke")], [begun, "nemesis", said("ok")], [healed, "nemesis", said("healed")]);
}

export function trial(events: readonly Event[], terms: Partial<Terms> = {}): Trial {
  const guarantees = { order: "fifo", fencing: "unless-data-and-clock-lost", alive: "lease" } as const;
  const inOrder = events.toSorted((one, other) => one.ts - other.ts);
  return trialOf(inOrder, {
    guarantees,
    ttl: 400,
    recovery: 1_000,
    deadWaiter: 0,
    forgetting: [],
    losingTokens: [],
    movingClock: [],
    cutting: [],
    keepingSessions: [],
    sparingHolds: [],
    ...terms,
  });
}
