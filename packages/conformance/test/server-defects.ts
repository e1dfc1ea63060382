import type { Broken } from "./broken.js";
import * as counters from "./broken-counters.js";
import * as holds from "./broken-holds.js";
import * as lines from "./broken-lines.js";
import { modelHarness } from "./model-harness.js";
import type { ModelStore } from "./model-store.js";

const over = (Server: new () => ModelStore) => () => modelHarness({ store: new Server() });

export const serverDefects: Readonly<Record<string, Broken>> = {
  "releases without looking at the owner": {
    harness: over(holds.ReleasesForAnybody),
    breaks: "ownership/stale-release",
    also: {
      "a refused claim that is given up frees the holder's lock": [
        "ownership/stranger",
        "exclusion/one-holder",
        "wake-ups/abort",
        "reentry/one-hold",
      ],
      "so does a second release, and the release of a lost hold": ["ownership/release-twice", "loss/told-first"],
    },
  },
  "ends leases earlier than asked": {
    harness: over(holds.EndsLeasesEarly),
    breaks: "leases/full",
    also: {
      "every lease is too short": ["leases/renewed", "leases/asked-again", "leases/own-ttl"],
      "the holder trusts it for longer": ["loss/told-first", "loss/cut", "leader/vanished"],
      "also one that is left to time": ["expire/ends", "once/one-a-tick", "once/next-tick"],
    },
    sometimes: { "an answer takes half of what there is": ["renewal/late-answer"] },
  },
  "does not restart the lease at a renewal": {
    harness: over(holds.RenewsWithoutRestarting),
    breaks: "leases/renewed",
    also: {
      "a leader renews often": ["leader/vanished"],
      "the last renewal of a lock that is left to time decides": ["expire/ends", "once/next-tick"],
    },
    sometimes: { "when the first renewal that counts comes late": ["renewal/late-answer", "renewal/passing-trouble"] },
  },
  "measures a hold by the ttl of whoever asks": {
    harness: over(holds.MeasuresByTheAskersTtl),
    breaks: "leases/own-ttl",
    also: { "they ask again and again": ["once/next-tick"] },
  },
  "counts its token only when the lock is given up": {
    harness: over(counters.CountsAtRelease),
    breaks: "tokens/expiry",
    also: {
      "nobody gives these holds up either": ["tokens/force-release", "server/empty-restart", "many-keys/lost"],
      "nor does it know of a floor": ["tokens/raise"],
    },
  },
  "counts its token in memory": {
    harness: over(counters.CountsInMemory),
    breaks: "server/empty-restart-token",
    also: { "it is the same restart": ["server/empty-restart"], "nor does it know of a floor": ["tokens/raise"] },
  },
  "counts its token in a row that goes with the lock": {
    harness: over(counters.CountsPerRow),
    breaks: "tokens/release",
    also: {
      "the row goes at every release": [
        "tokens/lost-reply",
        "server/restart-token",
        "server/empty-restart-token",
        "tokens/raise",
        "faults/client-clock",
        "reentry/left-running",
        "many-keys/lost",
        "leader/terms",
        "leader/seen",
      ],
    },
  },
  "counts answers, not holds": {
    harness: over(counters.CountsAnswers),
    breaks: "tokens/same-hold",
    also: {
      "they tell by the token that a hold is still the same": [
        "ownership/release-twice",
        "ownership/stale-release",
        "ownership/stale-renew",
        "ownership/stranger",
        "tokens/raise",
      ],
    },
  },
  "brings a hold back when it is renewed": {
    harness: over(holds.RevivesOnRenewal),
    breaks: "ownership/no-revival",
    also: {
      "released, or released by force, it comes back as well": [
        "ownership/released-renew",
        "tokens/force-release",
        "loss/forced",
        "many-keys/lost",
      ],
    },
  },
  "renews whoever holds": {
    harness: over(holds.RenewsForAnybody),
    breaks: "ownership/stale-renew",
    also: { "a holder that was forgotten is never told": ["server/empty-restart"] },
  },
  "gives everybody a place in line": {
    harness: over(lines.JoinsEverybody),
    breaks: "waiting/no-place",
    also: {
      "core asks without joining": ["waiting/try-once", "once/one-a-tick", "once/next-tick", "once/dead-runner"],
    },
  },
  "never skips a dead head of the line": {
    harness: over(lines.WaitsForTheDead),
    breaks: "faults/dead-head",
    also: { "a waiter that sleeps on is as good as dead": ["exclusion/late-waker"] },
  },
  "folds the case of keys": {
    harness: over(holds.FoldsCase),
    breaks: "input/keys",
  },
  "cuts long keys": {
    harness: over(holds.CutsKeys),
    breaks: "input/keys",
  },
  "serves the last one first": {
    harness: over(lines.ServesTheLastFirst),
    breaks: "order/first-come",
    also: {
      "whoever comes or leaves, the order is the wrong one": ["order/leaver", "order/place-kept", "order/processes"],
    },
  },
  "sends whoever asks again to the end of the line": {
    harness: over(lines.SendsAskersToTheEnd),
    breaks: "order/place-kept",
    also: { "that those behind are refused is found out by asking": ["order/first-come"] },
  },
  "lets newcomers in before those who wait": {
    harness: over(lines.LetsNewcomersIn),
    breaks: "order/no-barging",
    also: {
      "nor does it look at the order among those who wait": [
        "order/first-come",
        "order/leaver",
        "order/place-kept",
        "order/processes",
      ],
    },
  },
  "keeps a counter per key for ever": {
    harness: over(counters.KeepsCounters),
    breaks: "cleanup/residue",
    also: { "also for the keys of the dead": ["cleanup/dead-residue"] },
  },
  "never sweeps what the dead left": {
    harness: over(holds.SweepsNothing),
    breaks: "cleanup/dead-residue",
  },
  "executes attempts after their deadline": {
    harness: over(holds.RunsLateAttempts),
    breaks: "faults/late-attempt",
  },
  "wakes nobody when a hold expires": {
    harness: over(lines.ForgetsToWakeAtExpiry),
    breaks: "wake-ups/expiry",
    also: {
      "somebody waits behind one that is left to time": ["expire/ends"],
      "somebody waits behind a dead one": ["faults/dead-head", "loss/told-first", "loss/cut", "leader/vanished"],
    },
  },
  "remembers the first owner of a lock that was taken over": {
    harness: over(holds.RemembersTheFirstOwner),
    breaks: "ownership/both-release",
    also: { "a lock that was taken over is given up there as well": ["ownership/stale-renew"] },
  },
  "keeps the places of those who left the line": {
    harness: () => ({
      ...modelHarness({ store: new lines.KeepsThePlacesOfThoseWhoLeft() }),
      timing: { ttl: 300, slack: 250, deadWaiter: 600 },
    }),
    breaks: "order/leaver",
    also: {
      "a wait that ended leaves a place": [
        "waiting/timeout",
        "waiting/late-grant",
        "waiting/abandoned",
        "cleanup/close",
        "input/inspect",
        "many-keys/none",
      ],
    },
  },
  "uses keys as file names": {
    harness: over(holds.UsesKeysAsFileNames),
    breaks: "input/bare-keys",
  },
  "keeps its token in a double": {
    harness: over(counters.CountsInDoubles),
    breaks: "tokens/raise",
  },
  "ends the longest lease at once": {
    harness: over(holds.EndsLongLeasesAtOnce),
    breaks: "leases/longest",
  },
  "loses its data at a restart": {
    harness: over(holds.LosesDataAtRestart),
    breaks: "server/restart",
  },
  "forgets holds at a failover that it says it keeps": {
    harness: () => modelHarness({ store: new holds.LosesDataAtRestart(), guarantees: { failover: "keeps" } }),
    breaks: "guarantees/failover",
    also: { "it forgets them at a restart, too": ["server/restart"] },
  },
};
