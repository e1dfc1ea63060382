import { LockBackendError, monotonicNow } from "@dlock/core";
import type { Claim, ClaimRequest, FencingToken, Signal } from "@dlock/core";
import { clientOf, Forwarding } from "./forwarding.js";
import type { Client } from "./model-harness.js";
import { ModelStore } from "./model-store.js";

/** The ttl is part of the row of the lock, and written when it is taken. */
export class RenewsForTheFirstTtl extends ModelStore {
  override renew(request: ClaimRequest): boolean {
    return super.renew(request, request.ttl);
  }
}

/** As a token that is read once and kept beside the key. */
export const remembersTokens: () => Client = () => {
  const tokens = new Map<string, FencingToken>();
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        const token = await super.tryAcquire(deadline);
        if (token === undefined) return undefined;
        const first = tokens.get(this.request.key) ?? token;
        tokens.set(this.request.key, first);
        return first;
      }
    },
  )();
};

/** Each hold keeps a connection to itself, and there are two. */
export const runsOutOfConnections: () => Client = () => {
  const holding = new Set<Claim>();
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        if (holding.size >= 2 && !holding.has(this))
          throw new LockBackendError("no connection is free", { retryable: true, noEffect: true });
        const token = await super.tryAcquire(deadline);
        if (token !== undefined) holding.add(this);
        return token;
      }

      override async release(): Promise<void> {
        await super.release();
        holding.delete(this);
      }
    },
  )();
};

/** As one connection that a wait blocks: what is renewed is sent when the wait is over. */
export const renewsAfterItsWaits: () => Client = () => {
  const waits = new Set<Promise<void>>();
  return clientOf(
    class extends Forwarding {
      override async waitTurn(signal: Signal): Promise<void> {
        const wait = super.waitTurn(signal);
        waits.add(wait);
        await wait.finally(() => waits.delete(wait));
      }

      override async renew(ttl: number): Promise<boolean> {
        await Promise.all(waits);
        return super.renew(ttl);
      }
    },
  )();
};

/** Sends the releases of one turn of the event loop as one, with room for one key. */
export const releasesTheLatest: () => Client = () => {
  let latest: Promise<void> | undefined;
  let send = async (): Promise<void> => {};
  return clientOf(
    class extends Forwarding {
      override release(): Promise<void> {
        send = () => super.release();
        latest ??= new Promise<void>(setImmediate).then(() => {
          latest = undefined;
          return send();
        });
        return latest;
      }
    },
  )();
};

/** Puts keys into URLs as they are. */
export class TakesKeysForUrls extends ModelStore {
  override name(key: string): string {
    return key.split("#")[0] ?? key;
  }
}

/** As a server that leases for so long and no longer. */
export class CapsRenewals extends ModelStore {
  readonly #renewals = new Map<string, number>();

  override renew(request: ClaimRequest, ttl: number): boolean {
    const renewals = (this.#renewals.get(request.id) ?? 0) + 1;
    this.#renewals.set(request.id, renewals);
    return renewals <= 12 && super.renew(request, ttl);
  }
}

/** As `expires = expires + ttl`. */
export class AddsToTheTimeLeft extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const end = this.mine(request.key, request.id)?.end ?? monotonicNow();
    return super.renew(request, ttl + end - monotonicNow());
  }
}

/** A label that is written when the row is made, and not when it is taken over. */
export class ShowsTheFirstLabel extends ModelStore {
  readonly #labels = new Map<string, string>();

  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const token = super.tryAcquire(request, deadline);
    const mine = this.mine(request.key, request.id);
    if (mine === undefined) return token;
    const owner = this.#labels.get(request.key) ?? request.owner;
    this.#labels.set(request.key, owner);
    this.holds.set(request.key, [{ ...mine, owner }]);
    return token;
  }
}

/** One try is two steps; only for those who wait there is a line. */
export function triesInTwoSteps(store: ModelStore): () => Client {
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        if (this.request.join) return super.tryAcquire(deadline);
        const free = store.isTurn(this.request);
        await new Promise((resolve) => setTimeout(resolve, 2));
        if (free && !store.isTurn(this.request)) store.holds.delete(this.request.key);
        return super.tryAcquire(deadline);
      }
    },
  );
}

/** Who only tries looks whether there is a row, and not at its time. */
export class BuriesTheDeadForThoseWhoWait extends ModelStore {
  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const row = this.holds.get(request.key);
    if (!request.join && row?.some(({ id }) => id !== request.id)) return undefined;
    return super.tryAcquire(request, deadline);
  }
}
