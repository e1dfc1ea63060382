import type { LockProvider, LockStatus } from "@dlock/core";
import type { Broken } from "./broken.js";
import * as claims from "./broken-claims.js";
import * as steps from "./broken-steps.js";
import { modelHarness, type Client } from "./model-harness.js";
import { RunsLateAttempts } from "./broken-holds.js";
import { ModelStore } from "./model-store.js";
import { withProvider } from "./with-provider.js";

const behind = (client: () => Client) => () => modelHarness({ client });

function relabelled(status: LockStatus | undefined, key: string): LockStatus {
  return {
    key,
    holders: [],
    waiters: [],
    ...status,
    ...(status && { holders: status.holders.map((holder) => ({ ...holder, owner: "secret" })) }),
  };
}

function closesOnce(provider: LockProvider): () => Promise<void> {
  let closed = false;
  return async () => {
    if (closed) throw new Error("it is closed");
    closed = true;
    await provider.close?.();
  };
}

export const clientDefects: Readonly<Record<string, Broken>> = {
  "looks whether the lock is free, and takes it in a second step": {
    harness: () => {
      const store = new ModelStore();
      return modelHarness({ store, client: steps.looksThenTakes(store) });
    },
    breaks: "exclusion/crowd",
    also: {
      "many ask at once": [
        "exclusion/first-use",
        "exclusion/sections",
        "many-keys/any-order",
        "striped/side-by-side",
        "once/one-a-tick",
      ],
    },
  },
  "looks who holds, and renews in a second step": {
    harness: () => {
      const store = new ModelStore();
      return modelHarness({ store, client: steps.looksThenRenews(store) });
    },
    breaks: "renewal/in-flight",
  },
  "waits for the answer to a renewal for a third of the ttl only": {
    harness: behind(claims.forgetsLateRenewals),
    breaks: "renewal/late-answer",
  },
  "measures holds by the wall clock of the client": {
    harness: () => {
      const store = new ModelStore();
      return modelHarness({ store, client: steps.trustsItsClock(store) });
    },
    breaks: "faults/client-clock",
  },
  "gives up all that its process holds": {
    harness: behind(claims.releasesAllOfItsProcess),
    breaks: "exclusion/independent-keys",
    also: { "stripes are keys": ["striped/side-by-side"] },
  },
  "reports a remembered hold unverified": {
    harness: behind(claims.remembersItsHold),
    breaks: "exclusion/remembered-hold",
    also: { "what is not asked restarts nothing": ["leases/asked-again"] },
  },
  "takes a lost answer for a refusal": {
    harness: behind(claims.forgetsUnansweredAttempts),
    breaks: "tokens/lost-reply",
  },
  "has one owner per process": {
    harness: behind(claims.ownsPerProcess),
    breaks: "exclusion/one-holder",
    also: {
      "claims of one process are one claim, wherever several of them meet": [
        "exclusion/crowd",
        "exclusion/first-use",
        "exclusion/sections",
        "ownership/stranger",
        "ownership/stale-release",
        "ownership/release-twice",
        "order/first-come",
        "order/place-kept",
        "order/leaver",
        "loss/told-first",
        "striped/side-by-side",
        "once/one-a-tick",
      ],
    },
  },
  "does not undo a success that comes after the release": {
    harness: behind(claims.releasesOnlyWhatItKnows),
    breaks: "ownership/release-in-flight",
    also: { "it is the same, on a slow link": ["faults/slow-attempt"] },
  },
  "ignores the deadline of an attempt": {
    harness: behind(claims.waitsForAnswersForEver),
    breaks: "faults/late-attempt",
    also: { "an answer that is lost never comes": ["tokens/lost-reply"] },
  },
  "takes errors for refusals": {
    harness: behind(claims.takesErrorsForRefusals),
    breaks: "faults/silent-backend",
    also: { "a refusal is an answer": ["faults/late-attempt", "server/pause", "tokens/lost-reply"] },
  },
  "takes errors of renewal for loss": {
    harness: behind(claims.takesErrorsForLoss),
    breaks: "renewal/brief-cut",
    also: { "an answer that was lost is an error in the end": ["renewal/lost-answers"] },
  },
  "takes errors of renewal for success": {
    harness: behind(claims.takesErrorsForRenewal),
    breaks: "loss/cut",
  },
  "asks as soon as a claim is made": {
    harness: behind(claims.asksWhenMade),
    breaks: "input/claim-does-nothing",
    also: {
      "a claim that is never used takes the lock": ["cleanup/residue"],
      "an attempt of no deadline to speak of is on its way": ["faults/late-attempt"],
    },
  },
  "serves shared holds as exclusive ones": {
    harness: behind(claims.servesAnyMode),
    breaks: "input/shared-refused",
    also: { "and semaphores as plain locks": ["input/limit-refused"] },
  },
  "fails when many use a new key at once": {
    harness: behind(steps.failsAtFirstUse()),
    breaks: "exclusion/first-use",
    also: {
      "a crowd begins with a new key": [
        "exclusion/crowd",
        "exclusion/sections",
        "many-keys/any-order",
        "striped/side-by-side",
        "once/one-a-tick",
      ],
    },
  },
  "executes attempts late, under an owner that it forgot": {
    harness: () => modelHarness({ store: new RunsLateAttempts(), client: claims.leavesUnansweredAttempts }),
    breaks: "faults/late-call",
    also: {
      "it is both defects at once": ["faults/late-attempt", "tokens/lost-reply"],
      "the call that got no answer holds up the next one": ["faults/silent-backend", "server/pause"],
    },
  },
  "shows the secret of a claim in place of its label": {
    harness: () =>
      withProvider((provider) => ({
        ...provider,
        inspect: async (key) => relabelled(await provider.inspect?.(key), key),
      })),
    breaks: "input/inspect",
    also: { "also to those who look for a leader": ["leader/seen"] },
  },
  "fails when it is closed again": {
    harness: () => withProvider((provider) => ({ ...provider, close: closesOnce(provider) })),
    breaks: "cleanup/close-twice",
  },
  "guarantees less than its harness says": {
    harness: () => {
      const harness = modelHarness();
      return { ...harness, guarantees: { ...harness.guarantees, exclusion: "consensus" } };
    },
    breaks: "guarantees/declared",
  },
};
