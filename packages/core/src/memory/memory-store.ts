import { Alarm } from "../alarm.js";
import { monotonicNow } from "../clock.js";
import { LockConfigError } from "../errors.js";
import type { ClaimRequest, FencingToken, LockStatus } from "../provider.js";

interface Hold {
  request: ClaimRequest;
  readonly token: FencingToken;
  expires: number;
}

interface Place {
  readonly request: ClaimRequest;
  wake: () => void;
  /** It was told that it may enter, and has until then to do so. */
  calledUntil: number | undefined;
}

interface Entry {
  /** By claim id, in the order in which they were granted. */
  readonly holds: Map<string, Hold>;
  /** First come first served, by claim id. */
  readonly line: Map<string, Place>;
  /** Looks again when time may change something: for those who wait, or only to forget a dead holder. */
  readonly watch: Alarm;
  readonly cleanUp: Alarm;
}

// Whoever does not come in this time is stopped or cut off: those behind are called.
const claimWindow = 1_000;

/** The state that memory providers share, as a server would keep it: every method is one atomic step. */
export class MemoryStore {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  #lastToken = 0n;
  /** By key, of those whose tokens have to exceed more than the clock. */
  readonly #floors = new Map<string, FencingToken>();

  /** `now`: ms since 1970, the clock of leases and tokens. */
  constructor(now: () => number) {
    this.#now = now;
  }

  tryAcquire(request: ClaimRequest): FencingToken | undefined {
    const { key, id } = request;
    const entry = this.#entry(key);
    // Whoever was called has come, however late.
    const place = entry.line.get(id);
    if (place?.calledUntil !== undefined) place.calledUntil = this.#now() + claimWindow;
    this.#settle(entry);
    checkLimit(entry, request);
    if (!entry.holds.has(id) && fits(request, before(entry, id))) {
      entry.line.delete(id);
      entry.holds.set(id, { request, token: this.#nextToken(key), expires: 0 });
    }
    const mine = entry.holds.get(id);
    if (mine !== undefined) mine.expires = this.#now() + request.ttl;
    else if (request.join && place === undefined) {
      entry.line.set(id, { request, wake: () => {}, calledUntil: undefined });
    }
    this.#tend(key, entry);
    return mine?.token;
  }

  /** Calls `wake` once the claim may enter, at once when it may already or has no place; returns what forgets it. */
  awaitTurn({ key, id }: ClaimRequest, wake: () => void): () => void {
    const entry = this.#entries.get(key);
    const place = entry?.line.get(id);
    if (entry === undefined || place === undefined || fits(place.request, before(entry, id))) wake();
    else place.wake = wake;
    return () => {
      if (place?.wake === wake) place.wake = () => {};
    };
  }

  renew({ key, id }: ClaimRequest, ttl: number): boolean {
    return this.#change(key, ({ holds }) => {
      const mine = holds.get(id);
      if (mine !== undefined) mine.expires = this.#now() + ttl;
      return mine !== undefined;
    });
  }

  downgrade({ key, id }: ClaimRequest): boolean {
    return this.#change(key, ({ holds }) => {
      const mine = holds.get(id);
      if (mine !== undefined) mine.request = { ...mine.request, mode: "shared" };
      return mine !== undefined;
    });
  }

  raise({ key, id }: ClaimRequest, floor: FencingToken): boolean {
    return this.#change(key, ({ holds }) => {
      const held = holds.has(id);
      if (held) this.#raiseFloor(key, floor);
      return held;
    });
  }

  release({ key, id }: ClaimRequest): void {
    this.#change(key, ({ holds, line }) => {
      holds.delete(id);
      line.delete(id);
    });
  }

  forceRelease(key: string): boolean {
    return this.#change(key, ({ holds }) => {
      const held = holds.size > 0;
      holds.clear();
      return held;
    });
  }

  inspect(key: string): LockStatus {
    const entry = this.#entries.get(key);
    if (entry === undefined) return { key, holders: [], waiters: [] };
    this.#settle(entry);
    const holders = [...entry.holds.values()].map(({ request, token, expires }) => ({
      ...label(request),
      fencingToken: token,
      expiresIn: expires - this.#now(),
    }));
    return { key, holders, waiters: [...entry.line.values()].map(({ request }) => label(request)) };
  }

  /** Keys that anything is known of. */
  get size(): number {
    return this.#entries.size;
  }

  #entry(key: string): Entry {
    const found = this.#entries.get(key);
    if (found) return found;
    const tend = () => this.#tend(key, entry);
    const watch = new Alarm(tend, { background: false });
    const cleanUp = new Alarm(tend, { background: true });
    const entry: Entry = { holds: new Map(), line: new Map(), watch, cleanUp };
    this.#entries.set(key, entry);
    return entry;
  }

  #change<Result>(key: string, change: (entry: Entry) => Result): Result {
    const entry = this.#entry(key);
    this.#settle(entry);
    const result = change(entry);
    this.#tend(key, entry);
    return result;
  }

  /** Ends what time has ended: each hold and each call by itself. */
  #settle({ holds, line }: Entry): void {
    const now = this.#now();
    for (const [id, { expires }] of holds) if (expires <= now) holds.delete(id);
    for (const [id, { calledUntil = Number.POSITIVE_INFINITY }] of line) if (calledUntil <= now) line.delete(id);
  }

  /** Calls all at the head of the line that may enter now, and sees to it that somebody looks again when time may change something. */
  #tend(key: string, entry: Entry): void {
    this.#settle(entry);
    const { holds, line, watch, cleanUp } = entry;
    for (const [id, place] of line) {
      if (!fits(place.request, before(entry, id))) break;
      if (place.calledUntil !== undefined) continue;
      place.calledUntil = this.#now() + claimWindow;
      place.wake();
    }
    watch.clear();
    cleanUp.clear();
    const ends = [...holds.values()].map(({ expires }) => expires);
    const calls = [...line.values()].map(({ calledUntil = Number.POSITIVE_INFINITY }) => calledUntil);
    const next = Math.min(...ends, ...calls);
    (line.size > 0 ? watch : cleanUp).set(monotonicNow() + next - this.#now());
    if (holds.size === 0 && line.size === 0) this.#entries.delete(key);
  }

  #nextToken(key: string): FencingToken {
    const clock = this.#clock();
    this.#lastToken = this.#lastToken < clock ? clock : this.#lastToken + 1n;
    const floor = this.#floors.get(key);
    if (floor === undefined || floor < this.#lastToken) return this.#lastToken;
    this.#floors.set(key, floor + 1n);
    return floor + 1n;
  }

  #raiseFloor(key: string, floor: FencingToken): void {
    const clock = this.#clock();
    for (const [other, low] of this.#floors) if (low < clock) this.#floors.delete(other);
    const known = this.#floors.get(key);
    if (known === undefined || known < floor) this.#floors.set(key, floor);
  }

  /** µs */
  #clock(): FencingToken {
    return BigInt(Math.floor(this.#now() * 1_000));
  }
}

/** Who holds, and who waits before this claim: everybody, for one that has no place. */
function before({ holds, line }: Entry, id: string): readonly ClaimRequest[] {
  const ahead = [...holds.values()].map(({ request }) => request);
  for (const [other, { request }] of line) {
    if (other === id) break;
    ahead.push(request);
  }
  return ahead;
}

/** Whether a claim may enter beside those: readers beside readers, and as many as the limit says. */
function fits({ mode, limit }: ClaimRequest, others: readonly ClaimRequest[]): boolean {
  return mode === "shared" ? others.every((other) => other.mode === "shared") : others.length < limit;
}

function checkLimit({ holds, line }: Entry, { key, limit }: ClaimRequest): void {
  for (const { request } of [...holds.values(), ...line.values()]) {
    if (request.limit === limit) continue;
    throw new LockConfigError("limit", limit, `${request.limit}, which others use for this key at present`, key);
  }
}

function label({ owner, mode }: ClaimRequest): Pick<ClaimRequest, "owner" | "mode"> {
  return { owner, mode };
}
