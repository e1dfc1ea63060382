import { LockBackendError, monotonicNow } from "@dlock/core";
import type { Claim, FencingToken } from "@dlock/core";
import { clientOf, Forwarding } from "./forwarding.js";
import type { Client } from "./model-harness.js";

export const remembersItsHold = clientOf(
  class extends Forwarding {
    #token: FencingToken | undefined;

    override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
      return (this.#token ??= await super.tryAcquire(deadline));
    }
  },
);

/** Each attempt after a failed one has an owner of its own, to whom the hold of the failed one is a stranger's. */
function ownsPerAttempt(releases: "all" | "latest"): () => Client {
  return () => (request, remote) => {
    let latest = remote(request);
    const claims = [latest];
    return {
      tryAcquire: async (deadline) => {
        try {
          return await latest.tryAcquire(deadline);
        } catch (error) {
          claims.push((latest = remote({ ...request, id: crypto.randomUUID() })));
          throw error;
        }
      },
      waitTurn: async (signal) => latest.waitTurn?.(signal),
      renew: async (ttl) => (await latest.renew?.(ttl)) ?? true,
      release: async () =>
        void (await Promise.all((releases === "all" ? claims : [latest]).map((claim) => claim.release()))),
    };
  };
}

export const forgetsUnansweredAttempts = ownsPerAttempt("all");
export const leavesUnansweredAttempts = ownsPerAttempt("latest");

export const ownsPerProcess: () => Client = () => {
  const id = crypto.randomUUID();
  return (request, remote) => new Forwarding(remote({ ...request, id }), request);
};

/** Gives up only what it knows to hold. */
export const releasesOnlyWhatItKnows = clientOf(
  class extends Forwarding {
    #token: FencingToken | undefined;
    #trying = false;

    override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
      this.#trying = true;
      try {
        return (this.#token = await super.tryAcquire(deadline));
      } finally {
        this.#trying = false;
      }
    }

    override async release(): Promise<void> {
      if (this.#token !== undefined || !this.#trying) await super.release();
    }
  },
);

export const waitsForAnswersForEver = clientOf(
  class extends Forwarding {
    override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
      try {
        return await super.tryAcquire(deadline);
      } catch (error) {
        if (monotonicNow() >= deadline - 5) return new Promise(() => {});
        throw error;
      }
    }
  },
);

/** As a driver's timeout for every command: what comes after it is heard by nobody. */
export const forgetsLateRenewals = clientOf(
  class extends Forwarding {
    override async renew(ttl: number): Promise<boolean> {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        const silent = new LockBackendError("no answer in time", { retryable: true });
        timer = setTimeout(() => reject(silent), ttl / 3);
      });
      return Promise.race([super.renew(ttl), late]).finally(() => clearTimeout(timer));
    }
  },
);

export const takesErrorsForRefusals = clientOf(
  class extends Forwarding {
    override tryAcquire(deadline: number): Promise<FencingToken | undefined> {
      return super.tryAcquire(deadline).catch(() => undefined);
    }
  },
);

export const takesErrorsForLoss = clientOf(
  class extends Forwarding {
    override renew(ttl: number): Promise<boolean> {
      return super.renew(ttl).catch(() => false);
    }
  },
);

export const takesErrorsForRenewal = clientOf(
  class extends Forwarding {
    override renew(ttl: number): Promise<boolean> {
      return super.renew(ttl).catch(() => true);
    }
  },
);

export const asksWhenMade: () => Client = () => (request, remote) => {
  const claim = remote(request);
  claim.tryAcquire(monotonicNow() + 1_000).catch(() => {});
  return new Forwarding(claim, request);
};

export const servesAnyMode: () => Client = () => (request, remote) =>
  new Forwarding(remote({ ...request, mode: "exclusive", limit: 1 }), request);

/** As holds on one connection, which is closed. */
export const releasesAllOfItsProcess: () => Client = () => {
  const held = new Set<Claim>();
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        const token = await super.tryAcquire(deadline);
        if (token !== undefined) held.add(this.remote);
        return token;
      }

      override async release(): Promise<void> {
        await super.release();
        if (held.delete(this.remote)) await Promise.all([...held].map((claim) => claim.release()));
      }
    },
  )();
};

/** As an error in an event handler of the driver. */
export const throwsIntoTheProcess = clientOf(
  class extends Forwarding {
    override async renew(ttl: number): Promise<boolean> {
      return super.renew(ttl).catch((error: unknown) => {
        void Promise.reject(error);
        throw error;
      });
    }
  },
);
