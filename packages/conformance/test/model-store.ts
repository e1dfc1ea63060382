import { monotonicNow } from "@dlock/core";
import type { ClaimRequest, FencingToken } from "@dlock/core";

export interface ModelHold {
  readonly id: string;
  readonly owner: string;
  readonly token: FencingToken;
  end: number;
}

export interface ModelPlace {
  readonly id: string;
  readonly owner: string;
  /** Until then a free lock is kept for it, once it is at the head. */
  keptUntil?: number | undefined;
}

/** A lock server in a few lines, made to be broken: each defect overrides one of its methods. */
export class ModelStore {
  readonly holds = new Map<string, ModelHold>();
  readonly lines = new Map<string, ModelPlace[]>();
  readonly #watchers = new Map<() => void, string>();
  readonly #floors = new Map<string, FencingToken>();
  lastToken = 0n;

  tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    if (this.isLate(deadline)) throw new Error("the attempt came after its deadline");
    const key = this.name(request.key);
    const hold = this.hold(key);
    if (hold?.id === request.id) {
      hold.end = monotonicNow() + this.lease(request.ttl);
      return hold.token;
    }
    if (hold === undefined && this.mayTake(key, request)) {
      const { id, owner } = request;
      const token = this.nextToken(key);
      this.leave(key, id);
      this.holds.set(key, { id, owner, token, end: monotonicNow() + this.lease(request.ttl) });
      this.changed(key);
      this.wakeIn(key, request.ttl);
      return token;
    }
    if (this.joins(request)) this.join(key, request);
    return undefined;
  }

  renew(request: ClaimRequest, ttl: number): boolean {
    const hold = this.hold(this.name(request.key));
    if (hold?.id !== request.id) return false;
    hold.end = monotonicNow() + this.lease(ttl);
    this.wakeIn(request.key, ttl);
    return true;
  }

  release(request: ClaimRequest): void {
    const key = this.name(request.key);
    this.leave(key, request.id);
    if (this.owns(key, request)) this.holds.delete(key);
    this.changed(key);
  }

  raise(request: ClaimRequest, floor: FencingToken): boolean {
    if (this.hold(this.name(request.key))?.id !== request.id) return false;
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
    return this.hold(key) === undefined && this.mayTake(key, request);
  }

  /** Calls `look` whenever something has changed about the key. */
  watch(key: string, look: () => void): () => void {
    this.#watchers.set(look, this.name(key));
    return () => void this.#watchers.delete(look);
  }

  residue(): string[] {
    for (const key of this.holds.keys()) this.hold(key);
    for (const key of this.lines.keys()) this.head(key);
    return [...this.holds.keys(), ...this.lines.keys()];
  }

  // What the defects change.

  name(key: string): string {
    return key;
  }

  lease(ttl: number): number {
    return ttl;
  }

  isLate(deadline: number): boolean {
    return monotonicNow() > deadline;
  }

  joins(request: ClaimRequest): boolean {
    return request.join;
  }

  owns(key: string, request: ClaimRequest): boolean {
    return this.hold(key)?.id === request.id;
  }

  nextToken(key: string): FencingToken {
    const clock = BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1_000));
    const token = this.lastToken < clock ? clock : this.lastToken + 1n;
    const floor = this.#floors.get(key);
    if (floor === undefined || floor < token) return (this.lastToken = token);
    this.#floors.set(key, floor + 1n);
    return floor + 1n;
  }

  /** ms for which a free lock is kept for the head of the line. */
  patience(): number {
    return 200;
  }

  join(key: string, { id, owner }: ClaimRequest): void {
    const line = this.lines.get(key) ?? [];
    if (!line.some((place) => place.id === id)) line.push({ id, owner });
    this.lines.set(key, line);
  }

  mayTake(key: string, request: ClaimRequest): boolean {
    const first = this.head(key);
    return first === undefined || first.id === request.id;
  }

  // What they leave alone.

  hold(key: string): ModelHold | undefined {
    const hold = this.holds.get(key);
    if (hold === undefined || monotonicNow() < hold.end) return hold;
    this.holds.delete(key);
    return undefined;
  }

  /** The first in line, unless the lock was kept for it long enough. */
  head(key: string): ModelPlace | undefined {
    const line = this.lines.get(key) ?? [];
    if (this.hold(key) === undefined) {
      while (line[0]?.keptUntil !== undefined && line[0].keptUntil < monotonicNow()) line.shift();
      if (line[0] && line[0].keptUntil === undefined) {
        line[0].keptUntil = monotonicNow() + this.patience();
        this.wakeIn(key, this.patience());
      }
    }
    if (line.length === 0) this.lines.delete(key);
    return line[0];
  }

  leave(key: string, id: string): void {
    const rest = (this.lines.get(key) ?? []).filter((place) => place.id !== id);
    if (rest.length === 0) this.lines.delete(key);
    else this.lines.set(key, rest);
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
}
