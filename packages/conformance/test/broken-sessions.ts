import { monotonicNow } from "@dlock/core";
import type { FencingToken } from "@dlock/core";
import { HeartbeatClaim } from "./heartbeat-claim.js";
import type { Client } from "./model-harness.js";

export const trustsItsSession: () => Client = () => (request, remote) => {
  class Trusting extends HeartbeatClaim {
    override certainUntil(): number {
      return Number.POSITIVE_INFINITY;
    }
  }
  return Object.assign(new Trusting(remote(request), request.ttl), { lost: new AbortController().signal });
};

/** Nothing keeps the hold alive. */
export const neverBeats: () => Client = () => (request, remote) => {
  const claim = remote(request);
  let certain = 0;
  return {
    lost: new AbortController().signal,
    certainUntil: () => certain,
    async tryAcquire(deadline) {
      certain = monotonicNow() + request.ttl;
      return claim.tryAcquire(deadline);
    },
    waitTurn: async (signal) => claim.waitTurn?.(signal),
    release: () => claim.release(),
  };
};

/** Counts the time of its hold from the answer. */
export const countsFromTheAnswer: () => Client = () => (request, remote) => {
  class Late extends HeartbeatClaim {
    #end = 0;

    override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
      const token = await super.tryAcquire(deadline);
      if (token !== undefined) this.#end = monotonicNow() + request.ttl;
      return token;
    }

    override certainUntil(): number {
      return Math.max(this.#end, super.certainUntil());
    }
  }
  return new Late(remote(request), request.ttl);
};
