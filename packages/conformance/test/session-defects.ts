import type { Broken } from "./broken.js";
import * as sessions from "./broken-sessions.js";
import { modelHarness, type Client, type Model } from "./model-harness.js";

const asSession =
  (client: () => Client, offers: Model["offers"] = ["downgrade"]) =>
  () =>
    modelHarness({ client, guarantees: { alive: "session" }, offers });

export const sessionDefects: Readonly<Record<string, Broken>> = {
  "trusts its session for ever": {
    harness: asSession(sessions.trustsItsSession),
    breaks: "loss/told-first",
    also: {
      "the end of a hold is nowhere noticed": [
        "loss/cut",
        "loss/forced",
        "loss/stalled-loop",
        "ownership/no-revival",
        "ownership/stale-renew",
        "server/empty-restart",
        "faults/lost-release",
        "many-keys/lost",
        "leader/vanished",
      ],
      "it promises more than the server keeps": [
        "leases/full",
        "leases/renewed",
        "leases/asked-again",
        "leases/own-ttl",
        "loss/slow-answer",
      ],
    },
  },
  "says that it lives by a session, and hands out leases": {
    harness: () => modelHarness({ guarantees: { alive: "session" } }),
    breaks: "once/refused",
    also: {
      "its claims know better": ["guarantees/declared", "expire/refused"],
      "nor does a process keep them": ["guarantees/alive-session"],
    },
  },
  "calls a lease a session": {
    harness: asSession(sessions.neverBeats, []),
    breaks: "guarantees/alive-session",
    also: {
      "nothing keeps the hold alive": [
        "renewal/keeps",
        "renewal/passing-trouble",
        "renewal/brief-cut",
        "renewal/lost-answers",
        "renewal/late-answer",
        "wake-ups/push",
        "reentry/one-hold",
        "many-keys/kept",
        "leader/terms",
      ],
      "and nobody is told when it ends": ["ownership/no-revival", "ownership/stale-renew"],
    },
  },
  "counts the time of its session from the answer": {
    harness: asSession(sessions.countsFromTheAnswer),
    breaks: "loss/slow-answer",
  },
};
