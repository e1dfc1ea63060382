import { checkFields, checkOneOf } from "./check.js";
import { LockConfigError } from "./errors.js";
import type { Requirements } from "./options.js";
import type { ClaimRequest } from "./provider.js";

/** What a backend promises, as data: each entry is backed by a law of the conformance suite. */
export interface Guarantees {
  /** Whose agreement makes a hold exclusive. */
  readonly exclusion: "process" | "host" | "server" | "quorum" | "consensus";
  /** What a failover does to an acknowledged hold; `none`: there is no failover. */
  readonly failover: "keeps" | "may-forget" | "none";
  readonly fencing: "always" | "unless-data-and-clock-lost" | "best-effort";
  readonly alive: "lease" | "session" | "connection";
  /** The order in which waiting claims are served. */
  readonly order: "fifo" | "none";
  readonly waiting: "push" | "poll";
  readonly modes: readonly ("exclusive" | "shared" | "semaphore")[];
}

/** Every value an entry can have, the strongest first. */
export const values: {
  readonly [Entry in keyof Guarantees]: Entry extends "modes" ? Guarantees["modes"] : readonly Guarantees[Entry][];
} = {
  exclusion: ["consensus", "quorum", "server", "host", "process"],
  failover: ["keeps", "none", "may-forget"],
  fencing: ["always", "unless-data-and-clock-lost", "best-effort"],
  alive: ["lease", "session", "connection"],
  order: ["fifo", "none"],
  waiting: ["push", "poll"],
  modes: ["exclusive", "shared", "semaphore"],
};
const entries = Object.keys(values) as (keyof Guarantees)[]; // typed as strings by the library

/** For providers: throws `LockConfigError` when a request asks for a mode or a limit that the guarantees do not list. */
export function requireModes(guarantees: Guarantees, request: Pick<ClaimRequest, "key" | "mode" | "limit">): void {
  const offered = guarantees.modes;
  if (!offered.includes(request.mode)) {
    throw new LockConfigError(
      "mode",
      request.mode,
      `one of ${offered.join(", ")} (what this backend offers)`,
      request.key,
    );
  }
  if (request.limit !== 1 && !offered.includes("semaphore")) {
    throw new LockConfigError("limit", request.limit, "1 (this backend offers no semaphore)", request.key);
  }
}

/** Of a lock that would end with its process, for whoever needs one that does not. */
export function notLeased({ alive }: Guarantees, key: string): LockConfigError {
  const accepted =
    '"lease": a key whose backend keeps a hold for its time, also when its process ends (Redis, SQL with strategy "version", memory)';
  return new LockConfigError("alive", alive, accepted, key);
}

/** One entry in which a backend gives less than is required. */
export interface Shortfall {
  readonly entry: keyof Guarantees;
  readonly required: string;
  readonly given: string;
}

/** Where the guarantees fall short; empty when they suffice. Throws `LockConfigError` for entries and values that do not exist. */
export function shortfalls(guarantees: Guarantees, required: Requirements): readonly Shortfall[] {
  checkFields("require", required, Object.keys(values));
  return entries.flatMap((entry) => {
    const wanted = required[entry];
    if (wanted === undefined) return [];
    const accepted = [wanted].flat();
    for (const one of accepted) checkOneOf(`require.${entry}`, one, values[entry] as readonly unknown[]);
    const given: readonly unknown[] = [guarantees[entry]].flat();
    const met =
      entry === "modes" ? accepted.every((one) => given.includes(one)) : accepted.some((one) => given.includes(one));
    return met
      ? []
      : [{ entry, required: accepted.join(entry === "modes" ? " and " : " or "), given: given.join(", ") }];
  });
}

/** Throws `LockConfigError` that names both sides when the backend gives less than is required. */
export function checkRequirements(guarantees: Guarantees, required: Requirements): void {
  const [short] = shortfalls(guarantees, required);
  if (short === undefined) return;
  throw new LockConfigError(
    `require.${short.entry}`,
    short.required,
    `${short.given}, which is what this backend gives`,
  );
}
