import type { Broken } from "./broken.js";
import * as broken from "./broken-compositions.js";
import { NeverLengthensALease, NeverShortensALease } from "./broken-holds.js";
import { modelHarness, type Client } from "./model-harness.js";
import { ModelStore } from "./model-store.js";

const over = (Server: new () => ModelStore) => () => modelHarness({ store: new Server() });
const behind = (client: () => Client) => () => modelHarness({ client });

/** In what only those notice who build something from locks. */
export const compositionDefects: Readonly<Record<string, Broken>> = {
  "renews for the ttl that was asked for at first": {
    harness: over(broken.RenewsForTheFirstTtl),
    breaks: "reentry/one-hold",
    also: { "also where that is the last renewal": ["expire/ends", "once/next-tick"] },
  },
  "gives its process the token that it remembers for the key": {
    harness: behind(broken.remembersTokens),
    breaks: "reentry/left-running",
    also: {
      "whenever a process has a lock again": [
        "tokens/release",
        "tokens/lost-reply",
        "server/restart-token",
        "server/empty-restart-token",
        "many-keys/lost",
      ],
    },
  },
  "has two connections, and keeps one for each hold": {
    harness: behind(broken.runsOutOfConnections),
    breaks: "many-keys/any-order",
    also: { "they hold more than two as well": ["many-keys/none", "cleanup/dead-residue", "input/keys"] },
  },
  "renews nothing while one of its process waits": {
    harness: behind(broken.renewsAfterItsWaits),
    breaks: "many-keys/kept",
  },
  "sends only the last of the releases of one moment": {
    harness: behind(broken.releasesTheLatest),
    breaks: "many-keys/none",
    also: { "they give up several at once as well": ["many-keys/any-order", "striped/side-by-side", "cleanup/close"] },
  },
  "cuts keys at a #": {
    harness: over(broken.TakesKeysForUrls),
    breaks: "striped/side-by-side",
  },
  "never shortens a lease": {
    harness: over(NeverShortensALease),
    breaks: "once/next-tick",
    also: { "it is the same without the recipe": ["expire/ends"] },
  },
  "never lengthens a lease": {
    harness: over(NeverLengthensALease),
    breaks: "expire/ends",
    also: { "a section may ask for more": ["reentry/one-hold"] },
  },
  "renews a hold twelve times at the most": {
    harness: over(broken.CapsRenewals),
    breaks: "leader/terms",
  },
  "adds to the time that is left when it renews": {
    harness: over(broken.AddsToTheTimeLeft),
    breaks: "leader/vanished",
    also: { "also when it is left to time": ["expire/ends", "once/next-tick"] },
  },
  "shows the label of the first owner of a key": {
    harness: over(broken.ShowsTheFirstLabel),
    breaks: "leader/seen",
  },
  "looks whether the lock is free, and takes it in a second step, for those who do not wait": {
    harness: () => {
      const store = new ModelStore();
      return modelHarness({ store, client: broken.triesInTwoSteps(store) });
    },
    breaks: "once/one-a-tick",
    also: { "who looks for a free stripe does not wait either": ["striped/side-by-side"] },
  },
  "ends the hold of a dead one only for those who wait in line": {
    harness: over(broken.BuriesTheDeadForThoseWhoWait),
    breaks: "once/dead-runner",
    also: { "who left the lock to time need not live": ["once/next-tick"] },
  },
};
