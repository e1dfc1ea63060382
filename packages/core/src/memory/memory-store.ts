import { Alarm } from "../alarm.js";
import { monotonicNow } from "../clock.js";
import type { ClaimRequest, FencingToken, LockStatus } from "../provider.js";

interface Hold {
  readonly request: ClaimRequest;
  readonly token: FencingToken;
  expires: number;
}

interface Place {
  readonly request: ClaimRequest;
  wake: () => void;
}

interface Entry {
  hold: Hold | undefined;
  /** First come first served, by claim id. */
  readonly line: Map<string, Place>;
  /** The head of the line was told that the lock is free, and has until then to take it. */
  calledUntil: number | undefined;
  /** Looks again when time may change something: for those who wait, or only to forget a dead holder. */
  readonly watch: Alarm;
  readonly cleanUp: Alarm;
}

// A head that does not take the lock in this time is stopped or cut off: the next one is called.
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
    const entry = this.#entry(request.key);
    // A head that calls has come, however late.
    if (head(entry)?.request.id === request.id) entry.calledUntil = undefined;
    this.#settle(entry);
    if (entry.hold === undefined && (head(entry)?.request.id ?? request.id) === request.id) {
      entry.line.delete(request.id);
      entry.calledUntil = undefined;
      entry.hold = { request, token: this.#nextToken(request.key), expires: 0 };
    }
    const mine = entry.hold?.request.id === request.id ? entry.hold : undefined;
    if (mine !== undefined) mine.expires = this.#now() + request.ttl;
    else if (request.join && !entry.line.has(request.id)) entry.line.set(request.id, { request, wake: () => {} });
    this.#tend(request.key, entry);
    return mine?.token;
  }

  /** Calls `wake` once `tryAcquire` is worth another call, at once if it is already. Returns how to stop waiting. */
  awaitTurn({ key, id }: ClaimRequest, wake: () => void): () => void {
    const entry = this.#entries.get(key);
    const place = entry?.line.get(id);
    if (entry === undefined || place === undefined || (entry.hold === undefined && head(entry) === place)) wake();
    else place.wake = wake;
    return () => {
      if (place?.wake === wake) place.wake = () => {};
    };
  }

  renew({ key, id }: ClaimRequest, ttl: number): boolean {
    const entry = this.#entry(key);
    this.#settle(entry);
    const mine = entry.hold?.request.id === id ? entry.hold : undefined;
    if (mine !== undefined) mine.expires = this.#now() + ttl;
    this.#tend(key, entry);
    return mine !== undefined;
  }

  raise({ key, id }: ClaimRequest, floor: FencingToken): boolean {
    const entry = this.#entry(key);
    this.#settle(entry);
    const held = entry.hold?.request.id === id;
    if (held) this.#raiseFloor(key, floor);
    this.#tend(key, entry);
    return held;
  }

  release({ key, id }: ClaimRequest): void {
    const entry = this.#entry(key);
    if (head(entry)?.request.id === id) entry.calledUntil = undefined;
    entry.line.delete(id);
    if (entry.hold?.request.id === id) entry.hold = undefined;
    this.#tend(key, entry);
  }

  forceRelease(key: string): boolean {
    const entry = this.#entry(key);
    this.#settle(entry);
    const held = entry.hold !== undefined;
    entry.hold = undefined;
    this.#tend(key, entry);
    return held;
  }

  inspect(key: string): LockStatus {
    const entry = this.#entries.get(key);
    if (entry) this.#settle(entry);
    const holders = [entry?.hold].flatMap((hold) =>
      hold === undefined
        ? []
        : [{ ...label(hold.request), fencingToken: hold.token, expiresIn: hold.expires - this.#now() }],
    );
    return { key, holders, waiters: [...(entry?.line.values() ?? [])].map(({ request }) => label(request)) };
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
    const entry: Entry = { hold: undefined, line: new Map(), calledUntil: undefined, watch, cleanUp };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Ends what time has ended. */
  #settle(entry: Entry): void {
    const now = this.#now();
    if (entry.hold !== undefined && entry.hold.expires <= now) entry.hold = undefined;
    if (entry.calledUntil !== undefined && entry.calledUntil <= now) {
      entry.calledUntil = undefined;
      const first = head(entry);
      if (first) entry.line.delete(first.request.id);
    }
  }

  /** Calls the head of the line to a free lock, and sees to it that somebody looks again when time may change something for it. */
  #tend(key: string, entry: Entry): void {
    this.#settle(entry);
    const first = head(entry);
    if (entry.hold === undefined && first !== undefined && entry.calledUntil === undefined) {
      entry.calledUntil = this.#now() + claimWindow;
      first.wake();
    }
    entry.watch.clear();
    entry.cleanUp.clear();
    const next = entry.hold?.expires ?? entry.calledUntil;
    if (next !== undefined) (first ? entry.watch : entry.cleanUp).set(monotonicNow() + next - this.#now());
    if (entry.hold === undefined && first === undefined) this.#entries.delete(key);
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

function head(entry: Entry): Place | undefined {
  return entry.line.values().next().value;
}

function label({ owner, mode }: ClaimRequest): Pick<ClaimRequest, "owner" | "mode"> {
  return { owner, mode };
}
