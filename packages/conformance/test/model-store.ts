import { LockConfigError, monotonicNow } from "@dlock/core";
import type { ClaimRequest, FencingToken, LockMode } from "@dlock/core";

/** Who holds or waits, and on what terms. */
export type Party = Pick<ClaimRequest, "id" | "owner" | "limit"> & { mode: LockMode };

export interface ModelHold extends Party {
  readonly token: FencingToken;
  end: number;
}

export interface ModelPlace extends Party {
  /** Until then a place beside the holders is kept for it, once there is one. */
  keptUntil?: number | undefined;
}

/** A lock server in a few lines, made to be broken: each defect overrides one of its methods. */
export class ModelStore {
  /** In the order in which they were granted. */
  readonly holds = new Map<string, ModelHold[]>();
  readonly lines = new Map<string, ModelPlace[]>();
  readonly #watchers = new Map<() => void, string>();
  readonly #floors = new Map<string, FencingToken>();
  lastToken = 0n;

  tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    if (this.isLate(deadline)) throw new Error("the attempt came after its deadline");
    const key = this.name(request.key);
    const mine = this.mine(key, request.id);
    if (mine) {
      mine.end = monotonicNow() + this.lease(request.ttl, mine);
      return mine.token;
    }
    this.checkLimit(key, request);
    if (this.isTurn(request)) {
      const { id } = request;
      this.leave(key, id);
      const hold = { ...partyOf(request), token: this.nextToken(key, request), end: 0 };
      hold.end = monotonicNow() + this.lease(request.ttl, hold);
      this.holds.set(key, [...this.held(key), hold]);
      this.changed(key);
      this.wakeIn(key, request.ttl);
      return hold.token;
    }
    if (this.joins(request)) this.join(key, request);
    return undefined;
  }

  renew(request: ClaimRequest, ttl: number): boolean {
    const mine = this.mine(this.name(request.key), request.id);
    if (mine === undefined) return false;
    mine.end = monotonicNow() + this.lease(ttl, mine);
    this.wakeIn(request.key, ttl);
    return true;
  }

  downgrade(request: ClaimRequest): boolean {
    const key = this.name(request.key);
    const mine = this.mine(key, request.id);
    if (mine === undefined) return false;
    mine.mode = "shared";
    this.changed(key);
    return true;
  }

  release(request: ClaimRequest): void {
    const key = this.name(request.key);
    this.leave(key, request.id);
    for (const hold of this.held(key)) if (this.owns(hold, request)) this.end(key, hold.id);
    this.changed(key);
  }

  raise(request: ClaimRequest, floor: FencingToken): boolean {
    if (this.mine(this.name(request.key), request.id) === undefined) return false;
    this.#floors.set(request.key, floor);
    return true;
  }

  forceRelease(name: string): boolean {
    const key = this.name(name);
    const held = this.hold(key) !== undefined;
    this.holds.delete(key);
    this.changed(key);
    return held;
  }

  restart(keepData: boolean): void {
    if (!keepData) {
      this.holds.clear();
      this.lines.clear();
    }
    for (const key of new Set(this.#watchers.values())) this.changed(key);
  }

  /** Whether `tryAcquire` is worth another call. */
  isTurn(request: ClaimRequest): boolean {
    const key = this.name(request.key);
    return this.fits(request, this.held(key)) && this.mayTake(key, request);
  }

  /** Calls `look` whenever something has changed about the key. */
  watch(key: string, look: () => void): () => void {
    this.#watchers.set(look, this.name(key));
    return () => void this.#watchers.delete(look);
  }

  residue(): string[] {
    for (const key of this.holds.keys()) this.hold(key);
    for (const key of this.lines.keys()) this.waiting(key);
    return [...this.holds.keys(), ...this.lines.keys()];
  }

  // What the defects change.

  name(key: string): string {
    return key;
  }

  lease(ttl: number, _hold: ModelHold): number {
    return ttl;
  }

  isLate(deadline: number): boolean {
    return monotonicNow() > deadline;
  }

  joins(request: ClaimRequest): boolean {
    return request.join;
  }

  owns(hold: ModelHold, request: ClaimRequest): boolean {
    return hold.id === request.id;
  }

  nextToken(key: string, _request: ClaimRequest): FencingToken {
    const clock = BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1_000));
    const token = this.lastToken < clock ? clock : this.lastToken + 1n;
    const floor = this.#floors.get(key);
    if (floor === undefined || floor < token) return (this.lastToken = token);
    this.#floors.set(key, floor + 1n);
    return floor + 1n;
  }

  /** ms for which a place beside the holders is kept for whoever waited for it. */
  patience(): number {
    return 200;
  }

  join(key: string, request: ClaimRequest): void {
    const line = this.lines.get(key) ?? [];
    if (!line.some((place) => place.id === request.id)) line.push(partyOf(request));
    this.lines.set(key, line);
  }

  /** Readers beside readers, and as many as the limit says. */
  fits({ mode, limit }: Party, others: readonly Party[]): boolean {
    return mode === "shared" ? others.every((other) => other.mode === "shared") : others.length < limit;
  }

  /** Whether nobody would be overtaken. */
  mayTake(key: string, request: ClaimRequest): boolean {
    return this.fits(request, [...this.held(key), ...this.ahead(key, request.id)]);
  }

  checkLimit(key: string, { limit }: ClaimRequest): void {
    const other = [...this.held(key), ...this.waiting(key)].find((party) => party.limit !== limit);
    if (other) throw new LockConfigError("limit", limit, `${other.limit}, which is in use`, key);
  }

  changed(key: string): void {
    const looking = [...this.#watchers].filter(([, watched]) => watched === key);
    for (const [look] of looking) look();
  }

  wakeIn(key: string, ms: number): void {
    const at = monotonicNow() + ms;
    const look = (): void => {
      // Timers of a busy process may fire early.
      if (monotonicNow() < at) setTimeout(look, at - monotonicNow() + 1).unref();
      else this.changed(key);
    };
    if (ms < 10_000) look();
  }

  // What they leave alone.

  held(key: string): readonly ModelHold[] {
    const living = (this.holds.get(key) ?? []).filter(({ end }) => monotonicNow() < end);
    if (living.length === 0) this.holds.delete(key);
    else this.holds.set(key, living);
    return living;
  }

  /** The first that holds: the only one, unless the hold is shared or the lock a semaphore. */
  hold(key: string): ModelHold | undefined {
    return this.held(key)[0];
  }

  mine(key: string, id: string): ModelHold | undefined {
    return this.held(key).find((hold) => hold.id === id);
  }

  end(key: string, id: string): void {
    const rest = this.held(key).filter((hold) => hold.id !== id);
    if (rest.length === 0) this.holds.delete(key);
    else this.holds.set(key, rest);
  }

  /** Those in line, without those for whom a place was kept long enough. */
  waiting(key: string): readonly ModelPlace[] {
    const line = this.lines.get(key) ?? [];
    for (let at = 0; at < line.length;) {
      const place = line[at];
      if (place === undefined || !this.fits(place, [...this.held(key), ...line.slice(0, at)])) break;
      if (place.keptUntil !== undefined && place.keptUntil < monotonicNow()) {
        line.splice(at, 1);
        continue;
      }
      if (place.keptUntil === undefined) {
        place.keptUntil = monotonicNow() + this.patience();
        this.wakeIn(key, this.patience());
      }
      at++;
    }
    if (line.length === 0) this.lines.delete(key);
    return line;
  }

  ahead(key: string, id: string): readonly ModelPlace[] {
    const line = this.waiting(key);
    const mine = line.findIndex((place) => place.id === id);
    return mine < 0 ? line : line.slice(0, mine);
  }

  leave(key: string, id: string): void {
    const rest = (this.lines.get(key) ?? []).filter((place) => place.id !== id);
    if (rest.length === 0) this.lines.delete(key);
    else this.lines.set(key, rest);
  }
}

export function partyOf({ id, owner, mode, limit }: Party): Party {
  return { id, owner, mode, limit };
}
