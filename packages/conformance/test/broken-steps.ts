import type { FencingToken } from "@dlock/core";
import { clientOf, Forwarding } from "./forwarding.js";
import type { Client } from "./model-harness.js";
import type { ModelStore } from "./model-store.js";

/** Two steps where it takes one. */
export function looksThenTakes(store: ModelStore): () => Client {
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        const free = store.isTurn(this.request);
        await new Promise((resolve) => setTimeout(resolve, 2));
        if (free && !store.isTurn(this.request)) store.holds.delete(this.request.key);
        return super.tryAcquire(deadline);
      }
    },
  );
}

/** Reads who holds, and writes the lease in a second step. */
export function looksThenRenews(store: ModelStore): () => Client {
  return clientOf(
    class extends Forwarding {
      override async renew(ttl: number): Promise<boolean> {
        const { key, id } = this.request;
        const renewed = await super.renew(ttl);
        const mine = store.mine(key, id);
        await new Promise((resolve) => setTimeout(resolve, 2));
        if (renewed && mine && store.hold(key) === undefined) store.holds.set(key, [mine]);
        return renewed;
      }
    },
  );
}

/** Writes down by its own clock when its hold ends, and judges others by it. */
export function trustsItsClock(store: ModelStore): () => Client {
  const ends = new Map<string, number>();
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        const { key, ttl } = this.request;
        if ((ends.get(key) ?? Number.POSITIVE_INFINITY) <= Date.now()) store.holds.delete(key);
        const token = await super.tryAcquire(deadline);
        if (token !== undefined) ends.set(key, Date.now() + ttl);
        return token;
      }

      override async renew(ttl: number): Promise<boolean> {
        const renewed = await super.renew(ttl);
        if (renewed) ends.set(this.request.key, Date.now() + ttl);
        return renewed;
      }
    },
  );
}

/** Inserts the row of a new key only after it looked whether it is there. */
export function failsAtFirstUse(): () => Client {
  const rows = new Set<string>();
  return clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        const { key } = this.request;
        const there = rows.has(key);
        await new Promise(setImmediate);
        if (!there && rows.has(key)) throw new Error("UNIQUE constraint failed");
        rows.add(key);
        return super.tryAcquire(deadline);
      }
    },
  );
}
