import type { ClaimRequest, FencingToken } from "@dlock/core";
import { ModelStore } from "./model-store.js";

/** As a counter in the transaction that holds the lock: rolled back when the holder dies. */
export class CountsAtRelease extends ModelStore {
  readonly #committed = new Map<string, FencingToken>();

  override nextToken(key: string): FencingToken {
    return (this.#committed.get(key) ?? 0n) + 1n;
  }

  override release(request: ClaimRequest): void {
    const hold = this.hold(request.key);
    if (hold?.id === request.id) this.#committed.set(request.key, hold.token);
    super.release(request);
  }
}

/** As INCR without persistence. */
export class CountsInMemory extends ModelStore {
  override nextToken(): FencingToken {
    return ++this.lastToken;
  }

  override restart(keepData: boolean): void {
    if (!keepData) this.lastToken = 0n;
    super.restart(keepData);
  }
}

/** As a counter in the row of the lock, which is deleted when the lock is given up. */
export class CountsPerRow extends ModelStore {
  readonly #rows = new Map<string, FencingToken>();

  override nextToken(key: string): FencingToken {
    const token = (this.#rows.get(key) ?? 0n) + 1n;
    this.#rows.set(key, token);
    return token;
  }

  override release(request: ClaimRequest): void {
    super.release(request);
    if (this.hold(request.key) === undefined) this.#rows.delete(request.key);
  }
}

/** A new token for every answer, not for every hold. */
export class CountsAnswers extends ModelStore {
  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const token = super.tryAcquire(request, deadline);
    const hold = this.hold(request.key);
    if (token === undefined || hold === undefined) return token;
    const counted = { ...hold, token: this.nextToken(request.key, request) };
    this.holds.set(request.key, [counted]);
    return counted.token;
  }
}

export class KeepsCounters extends ModelStore {
  readonly #counters = new Set<string>();

  override nextToken(key: string, request: ClaimRequest): FencingToken {
    this.#counters.add(key);
    return super.nextToken(key, request);
  }

  override residue(): string[] {
    return [...super.residue(), ...[...this.#counters].map((key) => `${key}:fence`)];
  }
}

export class CountsInDoubles extends ModelStore {
  override nextToken(key: string, request: ClaimRequest): FencingToken {
    return BigInt(Number(super.nextToken(key, request)));
  }
}
