import type { Claim, LeaseClaim } from "@dlock/core";
import type { Harness } from "@dlock/conformance";
import { aliased, refused, wholeAndInParts } from "./aliases.js";
import { LetsNewcomersIn } from "./broken-lines.js";
import { modelHarness, type Client } from "./model-harness.js";
import { family } from "./model-provider.js";
import { HeartbeatClaim } from "./heartbeat-claim.js";

/** What is broken elsewhere, whole, with other guarantees: it obeys every law. */
export const controls: Readonly<Record<string, () => Harness>> = {
  "lives by leases": () => modelHarness({ guarantees: family }),
  "has one holder at a time": () => modelHarness(),
  "lives by a session": () =>
    modelHarness({ client: alive("session"), guarantees: { ...family, alive: "session" }, offers: ["downgrade"] }),
  "lives by a connection": () =>
    modelHarness({
      client: alive("connection"),
      guarantees: { ...family, alive: "connection" },
      offers: ["downgrade"],
    }),
  "polls, and keeps no order": () =>
    modelHarness({
      store: new LetsNewcomersIn(),
      client: () => (request, remote) => polled(remote(request)),
      guarantees: { ...family, waiting: "poll", order: "none" },
    }),
  "has two names for the same locks": () => {
    const harness = modelHarness();
    return { ...harness, aliases: [wholeAndInParts(harness.open)] };
  },
  "refuses one of two names for the same locks": aliased("a prefix in the wrong place", refused),
  "keeps holds at a failover": () => modelHarness({ guarantees: { failover: "keeps" } }),
};

function alive(by: "session" | "connection"): () => Client {
  return () => (request, remote) => new HeartbeatClaim(remote(request), request.ttl, by);
}

function polled(claim: Claim): LeaseClaim {
  return {
    tryAcquire: (deadline) => claim.tryAcquire(deadline),
    renew: async (ttl) => (await claim.renew?.(ttl)) ?? true,
    release: () => claim.release(),
  };
}
