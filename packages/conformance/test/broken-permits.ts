import type { ClaimRequest, FencingToken } from "@dlock/core";
import { forgetsUnansweredAttempts } from "./broken-claims.js";
import type { Client } from "./model-harness.js";
import { ModelStore, type ModelHold, type Party } from "./model-store.js";

/** Compares before it counts itself. */
export class GivesOneMore extends ModelStore {
  override fits(party: Party, others: readonly Party[]): boolean {
    return super.fits(party.limit > 1 ? { ...party, limit: party.limit + 1 } : party, others);
  }
}

/** As a number of permits, which every release makes larger. */
export class CountsPermits extends ModelStore {
  readonly #more = new Map<string, number>();
  readonly #held = new Set<string>();

  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const token = super.tryAcquire(request, deadline);
    if (token !== undefined) this.#held.add(request.id);
    return token;
  }

  override release(request: ClaimRequest): void {
    const { key, id, limit } = request;
    if (limit > 1 && this.#held.has(id) && this.mine(key, id) === undefined) {
      this.#more.set(key, (this.#more.get(key) ?? 0) + 1);
    }
    super.release(request);
  }

  override isTurn(request: ClaimRequest): boolean {
    const more = request.limit > 1 ? (this.#more.get(request.key) ?? 0) : 0;
    return super.isTurn({ ...request, limit: request.limit + more });
  }
}

export class GivesPermitsOfATimeOneToken extends ModelStore {
  override nextToken(key: string, request: ClaimRequest): FencingToken {
    return (request.limit > 1 ? this.hold(key)?.token : undefined) ?? super.nextToken(key, request);
  }
}

export class KeepsPermitsOfTheDead extends ModelStore {
  override lease(ttl: number, { limit }: ModelHold): number {
    return limit > 1 ? Number.POSITIVE_INFINITY : ttl;
  }
}

/** As one key that expires, with all permits in it. */
export class PermitsShareOneExpiry extends ModelStore {
  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const token = super.tryAcquire(request, deadline);
    const end = this.mine(request.key, request.id)?.end;
    if (request.limit > 1 && end !== undefined) for (const hold of this.held(request.key)) hold.end = end;
    return token;
  }
}

export class AcceptsAnyLimit extends ModelStore {
  override checkLimit(): void {}
}

export class GivesPermitsToWhoeverAsks extends ModelStore {
  override mayTake(key: string, request: ClaimRequest): boolean {
    return request.limit > 1 || super.mayTake(key, request);
  }
}

/** As one that listens for the end of the lock, not of a permit. */
export class WakesNobodyWhileOthersHold extends ModelStore {
  #quiet = false;

  override release(request: ClaimRequest): void {
    this.#quiet = request.limit > 1 && this.held(request.key).length > 1;
    super.release(request);
    this.#quiet = false;
  }

  override changed(key: string): void {
    if (!this.#quiet) super.changed(key);
  }
}

/** An attempt after one without an answer takes a permit of its own. */
export const takesASecondPermit: () => Client = () => {
  const forgetful = forgetsUnansweredAttempts();
  return (request, remote) => (request.limit > 1 ? forgetful(request, remote) : remote(request));
};
