import type { Harness } from "@dlock/conformance";
import type { Guarantees } from "@dlock/core";

export const guarantees: Guarantees = {
  exclusion: "server",
  failover: "may-forget",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "fifo",
  waiting: "push",
  modes: ["exclusive", "shared", "semaphore"],
};

/** What every deployment has in common. A dead waiter costs a claim window, at most one and a half seconds. */
export const fifo: Pick<Harness, "guarantees" | "offers" | "timing"> = {
  guarantees,
  offers: ["inspect", "forceRelease", "raise", "downgrade"],
  timing: { ttl: 500, slack: 500, deadWaiter: 1_600 },
};

/** A quorum of servers: nobody waits in line. A server that has to be connected to first takes its time. */
export const quorumHarness: Pick<Harness, "guarantees" | "offers" | "timing"> = {
  guarantees: { ...guarantees, exclusion: "quorum", order: "none", waiting: "poll", modes: ["exclusive", "shared"] },
  offers: ["inspect", "forceRelease", "raise"],
  timing: { ttl: 600, slack: 600 },
};

interface Side {
  keys(pattern: string): Promise<string[]>;
}

/** All keys, without the fence counters: at most one per slot, and they stay. */
export async function residueOf(servers: readonly Side[]): Promise<string[]> {
  const keys = await Promise.all(servers.map((server) => server.keys("*")));
  return keys.flat().filter((key) => !key.endsWith("}\0dlock:fence"));
}
