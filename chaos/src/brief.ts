import type { DefectName } from "./defect.js";
import type { Entry } from "./entry.js";

/** What a worker process is told at its start. */
export interface Brief {
  readonly proc: string;
  /** Where the locks are. */
  readonly entry: Entry;
  readonly folder: string;
  readonly seed: number;
  readonly keys: Keys;
  /** ms */
  readonly ttl: number;
  /** ms in which long holds are measured. */
  readonly pace: number;
  /** Sections that it tries to be in at the same time. */
  readonly loops: number;
  /** What is broken on purpose; default: nothing. */
  readonly defect?: DefectName | undefined;
}

export interface Keys {
  readonly exclusive: readonly string[];
  /** For readers and writers. */
  readonly shared: readonly string[];
  readonly limited: readonly string[];
}

export const limit = 3;

/** What a worker is told later. */
export type Order =
  | { readonly order: "strike"; readonly blow: Blow; readonly target: "holder" | "waiter" }
  /** Not any more. */
  | { readonly order: "spare" }
  | { readonly order: "leave" }
  /** The answer of a register. */
  | { readonly order: "took"; readonly id: number; readonly accepted: boolean };

/** What it does to itself: SIGSTOP, SIGKILL, or a loop that blocks for `ms`. */
export type Blow = { readonly how: "stop" | "kill" } | { readonly how: "block"; readonly ms: number };

/** What a worker says. */
export type Report =
  | { readonly report: "ready" | "left" }
  /** It is about to strike itself. */
  | { readonly report: "struck" }
  /** It is in a section that writes nothing. */
  | { readonly report: "read"; readonly hold: string }
  | {
      readonly report: "write";
      readonly id: number;
      readonly register: "fenced" | "unfenced";
      readonly hold: string;
      readonly key: string;
      readonly token: string;
    };
