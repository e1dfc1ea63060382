import { monotonicNow } from "./clock.js";
import { Moment } from "./moment.js";
import type { Claim } from "./provider.js";

/** ms after which a request that was never answered is held to be lost on its way: no adapter keeps a silent connection that long. */
const longestDoubt = 10_000;

/** One request to restart a lease. */
export interface Restart {
  readonly asked: Moment;
  readonly ttl: number;
  /** ms the lease lasts if it takes effect, whatever else is on its way: the ttl, or the shortest one of those. */
  readonly span: number;
}

/** The monotonic time up to which a claim is certainly held, by an answer to what was asked at `asked`. */
export function certainUntil(claim: Claim, asked: Moment, ttl: number): number {
  if (asked.sleptSince || claim.lost?.aborted) return Number.NEGATIVE_INFINITY;
  return "certainUntil" in claim ? claim.certainUntil() : leaseEnd(asked.at, claim.ttl ?? ttl);
}

/** Less 1 % and 2 ms by which two clocks may have drifted apart meanwhile, as in the Redlock algorithm. */
export function leaseEnd(askedAt: number, ttl: number): number {
  return askedAt + ttl - (ttl / 100 + 2);
}

/**
 * Until when a lease is certain, by all that was asked and acknowledged, in whatever order the answers come. An acknowledgement
 * proves the lease from the time at which its request was sent. Of requests that are under way together nobody knows which
 * one the server sees last: each proves no more than the shortest of them leaves.
 */
export class Validity {
  /** Of the newest request that was acknowledged. */
  #asked: Moment;
  #end: number;
  /** Requests without an answer: the monotonic ms up to which it will prove the lease. */
  readonly #open = new Map<Restart, number>();
  /** Requests that may still take effect, but can prove nothing any more: their ttl, and until when (monotonic ms) they count. */
  readonly #doubts = new Map<number, number>();

  /** Of a lease that what was asked at `asked` has started; other attempts to start it may take effect until `doubtfulUntil`. */
  constructor(asked: Moment, ttl: number, doubtfulUntil: number = Number.NEGATIVE_INFINITY) {
    this.#asked = asked;
    this.#end = leaseEnd(asked.at, ttl);
    this.#doubts.set(ttl, doubtfulUntil);
  }

  /** Monotonic ms. */
  get end(): number {
    return this.#end;
  }

  /** Whether the machine slept since the newest request that was acknowledged. */
  get slept(): boolean {
    return this.#asked.sleptSince;
  }

  /** To be called before a request is sent: a shorter lease may be in force from then on, whatever was proven before. */
  ask(ttl: number): Restart {
    const asked = new Moment();
    this.#review(asked.at);
    const others = [...this.#doubts.keys(), ...[...this.#open.keys()].map((other) => other.ttl)];
    const restart: Restart = { asked, ttl, span: Math.min(ttl, ...others) };
    const latest = leaseEnd(asked.at, ttl);
    for (const [other, end] of this.#open) this.#open.set(other, Math.min(end, latest));
    this.#end = Math.min(this.#end, latest);
    this.#open.set(restart, leaseEnd(asked.at, restart.span));
    return restart;
  }

  /** The server says that it took effect. Returns whether no newer request was acknowledged before it. */
  prove(restart: Restart): boolean {
    this.#end = Math.max(this.#end, this.#open.get(restart) ?? this.#end);
    this.#open.delete(restart);
    if (restart.asked.at < this.#asked.at) return false;
    this.#asked = restart.asked;
    return true;
  }

  /** There will be no answer: it may take effect or not. */
  doubt(restart: Restart): void {
    if (this.#open.delete(restart)) this.#remember(restart);
  }

  /** It certainly had no effect, and will have none. */
  forget(restart: Restart): void {
    this.#open.delete(restart);
  }

  /** Bounds what is kept in mind: a request whose answer could prove nothing more is a doubt, and a doubt passes. */
  #review(now: number): void {
    for (const [restart, end] of this.#open) if (end <= now) this.doubt(restart);
    for (const [ttl, until] of this.#doubts) if (until <= now) this.#doubts.delete(ttl);
  }

  #remember({ asked, ttl }: Restart): void {
    const until = asked.at + Math.max(ttl, longestDoubt);
    this.#doubts.set(ttl, Math.max(this.#doubts.get(ttl) ?? until, until));
  }
}

/** Whether a hold is certain at this instant for half of its ttl at least. */
export function isFresh(claim: Claim, asked: Moment, ttl: number): boolean {
  return certainUntil(claim, asked, ttl) - monotonicNow() >= (claim.ttl ?? ttl) / 2;
}
