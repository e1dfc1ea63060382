import type { LockMode } from "@dlock/core";

/** What every line of a history has: when, on the clock that all processes of a host share, and in which process. */
interface Line {
  /** ms of `process.hrtime` */
  readonly ts: number;
  readonly proc: string;
}

/** Of one attempt at a lock, whose name is `hold` whether it is granted or not. */
interface OfHold extends Line {
  readonly hold: string;
  readonly key: string;
}

export type Event =
  | (OfHold & {
      readonly op: "acquire";
      readonly phase: "invoke";
      readonly mode: LockMode;
      readonly limit: number;
      /** ms for which it waits at most. */
      readonly waitTimeout: number;
      /** It stands in line by itself; others of one process share a place, which they hand on. */
      readonly alone: boolean;
      /** It is renewed for as long as it is held. */
      readonly renews: boolean;
    })
  | (OfHold & { readonly op: "acquire"; readonly phase: "ok"; readonly token: string })
  | (OfHold & { readonly op: "acquire"; readonly phase: "fail" | "info"; readonly why: string })
  /** The first answer was no: from here on it waits. */
  | (OfHold & { readonly op: "wait" })
  /** At `ts` the hold was certain up to `until`. */
  | (OfHold & { readonly op: "claim"; readonly until: number })
  | (OfHold & { readonly op: "lost"; readonly by: "signal" | "step"; readonly why?: string })
  | (OfHold & { readonly op: "release"; readonly phase: "invoke" | "ok" | "info" })
  | (OfHold & { readonly op: "write"; readonly phase: "invoke" | "ok" | "fail"; readonly register: RegisterName })
  /** By the register itself, in the order in which it took them. */
  | (OfHold & { readonly op: "take"; readonly register: RegisterName; readonly token: string })
  /** Somebody from the side saw it hold the lock: it did at some time after `asked`. */
  | (OfHold & { readonly op: "seen"; readonly asked: number })
  /** The server was asked from the side, by no link, at `asked`, and had answered by `ts`. */
  | (Line & { readonly op: "look"; readonly asked: number })
  /** The event loop stood still from `from` to `ts`. */
  | (Line & { readonly op: "stall"; readonly from: number })
  /** A failure that was ridden out, a renewal that failed. */
  | (Line & { readonly op: "trouble"; readonly what: string })
  /** The last line of a process that kills itself, or of one that came to an end otherwise; `heard`: something still listens there. */
  | (Line & {
      readonly op: "end";
      readonly how: "killed" | "left" | "crashed" | "stuck" | "heard";
      readonly why?: string;
    })
  /** By the nemesis: struck at `ts`, in effect, healed. */
  | (Line & {
      readonly op: "fault";
      readonly phase: "invoke" | "ok" | "fail" | "healed";
      readonly id: number;
      readonly fault: string;
      /** It hit nothing. */
      readonly missed?: boolean;
      readonly why?: string;
    });

export type RegisterName = "fenced" | "unfenced";

/** ms on the clock of all processes. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
