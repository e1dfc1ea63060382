import { monotonicNow } from "@dlock/core";
import type { ClaimRequest, FencingToken } from "@dlock/core";
import { ModelStore, partyOf, type ModelHold } from "./model-store.js";

export class ReleasesForAnybody extends ModelStore {
  override owns(): boolean {
    return true;
  }
}

export class EndsLeasesEarly extends ModelStore {
  override lease(ttl: number): number {
    return ttl * 0.7;
  }

  override wakeIn(key: string, ms: number): void {
    super.wakeIn(key, ms * 0.7);
    super.wakeIn(key, ms);
  }
}

/** As a renewal that is only noted when the lease is nearly over: core's second one, a third before the end, is. */
export class RenewsWithoutRestarting extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const hold = this.hold(request.key);
    const end = hold?.end;
    const renewed = super.renew(request, ttl);
    if (hold !== undefined && end !== undefined && renewed && end - monotonicNow() > 0.42 * ttl) hold.end = end;
    return renewed;
  }
}

/** As a server that counts the time of a hold by the ttl of whoever asks. */
export class MeasuresByTheAskersTtl extends ModelStore {
  readonly #since = new WeakMap<ModelHold, number>();

  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const hold = this.hold(request.key);
    if (hold !== undefined && hold.id !== request.id) {
      const since = this.#since.get(hold) ?? monotonicNow();
      hold.end = Math.min(hold.end, since + request.ttl);
    }
    const token = super.tryAcquire(request, deadline);
    const mine = this.hold(request.key);
    if (mine && token !== undefined) this.#since.set(mine, monotonicNow());
    return token;
  }
}

/** As `setTimeout`, for which 2^31 is 1. */
export class EndsLongLeasesAtOnce extends ModelStore {
  override lease(ttl: number): number {
    return ttl + 1 > 2 ** 31 - 1 ? 1 : ttl;
  }
}

export class NeverEndsAHold extends ModelStore {
  override lease(): number {
    return Number.POSITIVE_INFINITY;
  }
}

export class RevivesOnRenewal extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const { key } = request;
    if (this.hold(key) === undefined) {
      const token = this.nextToken(key, request);
      this.holds.set(key, [{ ...partyOf(request), token, end: monotonicNow() + ttl }]);
    }
    return super.renew(request, ttl);
  }
}

export class RenewsForAnybody extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const id = this.hold(request.key)?.id ?? request.id;
    return super.renew({ ...request, id }, ttl);
  }
}

export class FoldsCase extends ModelStore {
  override name(key: string): string {
    return key.toLowerCase();
  }
}

export class CutsKeys extends ModelStore {
  override name(key: string): string {
    return key.slice(0, 255);
  }
}

export class SweepsNothing extends ModelStore {
  override residue(): string[] {
    return [...this.holds.keys(), ...this.lines.keys()];
  }
}

export class RunsLateAttempts extends ModelStore {
  override isLate(): boolean {
    return false;
  }
}

export class LosesDataAtRestart extends ModelStore {
  override restart(): void {
    super.restart(false);
  }
}

/** As an owner column that is written when the row is made, and not when it is taken over. */
export class RemembersTheFirstOwner extends ModelStore {
  readonly #owners = new Map<string, string>();

  override owns(hold: ModelHold, request: ClaimRequest): boolean {
    const first = this.#owners.get(request.key) ?? hold.id;
    return first === request.id && super.owns(hold, request);
  }

  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const before = this.holds.get(request.key)?.[0]?.id;
    const token = super.tryAcquire(request, deadline);
    if (token !== undefined && before !== undefined && before !== request.id) this.#owners.set(request.key, before);
    return token;
  }
}

export class UsesKeysAsFileNames extends ModelStore {
  override name(key: string): string {
    if (key === "." || key === "..") throw new Error("EISDIR");
    return key;
  }
}

/** As `expires = greatest(expires, now + ttl)`. */
export class NeverShortensALease extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const end = this.mine(request.key, request.id)?.end ?? 0;
    return super.renew(request, Math.max(ttl, end - monotonicNow()));
  }
}

/** As an upper bound that a server has for the ttl of a renewal. */
export class NeverLengthensALease extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    return super.renew(request, Math.min(ttl, request.ttl));
  }
}
