import type { Broken } from "./broken.js";
import * as waits from "./broken-waits.js";
import { modelHarness, type Client } from "./model-harness.js";

const behind = (client: () => Client) => () => modelHarness({ client });

export const waitDefects: Readonly<Record<string, Broken>> = {
  "takes it that whoever was woken holds": {
    harness: behind(waits.trustsItsWaking),
    breaks: "exclusion/late-waker",
  },
  "misses a turn that came before it listened": {
    harness: behind(waits.subscribesTooLate),
    breaks: "wake-ups/came-before",
    also: {
      "a release meets a waiter that is about to listen": [
        "wake-ups/none-lost",
        "cleanup/close",
        "order/processes",
        "reentry/left-running",
      ],
    },
  },
  "waits on when it is aborted": {
    harness: behind(waits.waitsRegardless),
    breaks: "wake-ups/abort",
  },
  "leaves its listener on the signal": {
    harness: behind(waits.leavesListeners),
    breaks: "wake-ups/abort",
  },
  "polls, and says that it is pushed": {
    harness: behind(waits.pollsInSecret),
    breaks: "wake-ups/push",
  },
  "does not subscribe again after its connection broke": {
    harness: behind(waits.subscribesOnce),
    breaks: "faults/ridden-out",
    also: {
      "it is the same when the turn comes meanwhile, and when the server was away": [
        "faults/missed-turn",
        "server/restart-waiter",
        "server/empty-restart",
      ],
    },
  },
  "does not look what it missed while its connection was broken": {
    harness: behind(waits.missesTheGap),
    breaks: "faults/missed-turn",
    also: { "it is the same when the server was away": ["server/restart-waiter", "server/empty-restart"] },
  },
};
