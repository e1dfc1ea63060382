import type { Harness } from "@dlock/conformance";
import type { Guarantees } from "@dlock/core";

export const guarantees: Guarantees = {
  exclusion: "server",
  failover: "may-forget",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "none",
  waiting: "poll",
  modes: ["exclusive", "shared", "semaphore"],
};

/** Of the strategy `version` on any server. No residue: rows of free and of dead keys stay for a day, so that their tokens go on from there. */
export const shared: Pick<Harness, "offers" | "timing"> = {
  offers: ["inspect", "forceRelease", "waitTurn", "raise", "downgrade"],
  // Drivers and more than a hundred laws share one process, on whatever machine it is.
  timing: { ttl: 800, slack: 800 },
};
