import { checkFields } from "./check.js";
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

/** Throws `LockConfigError` that names both sides when the backend gives less than is required. */
export function checkRequirements(guarantees: Guarantees, required: Requirements): void {
  checkFields("require", required, Object.keys(guarantees));
  for (const [entry, value] of Object.entries(required)) {
    if (value === undefined) continue;
    const accepted: readonly unknown[] = Array.isArray(value) ? value : [value];
    const given = guarantees[entry as keyof Guarantees];
    const met = Array.isArray(given) ? accepted.every((mode) => given.includes(mode)) : accepted.includes(given);
    if (!met) {
      const wanted = accepted.join(entry === "modes" ? " and " : " or ");
      throw new LockConfigError(
        `require.${entry}`,
        wanted,
        `${[given].flat().join(", ")}, which is what this backend gives`,
      );
    }
  }
}
