import { monotonicNow } from "../clock.js";
import type { ClaimRequest, FencingToken, LeaseClaim, SessionClaim } from "../provider.js";
import { pause, within } from "../settle.js";
import type { Signal } from "../signal.js";
import { type Electorate, noMajority } from "./electorate.js";
import { leastTtl, Part } from "./part.js";
import { Seat } from "./seat.js";
import { tally } from "./tally.js";

/** Rounds after the first one, where votes are split: each waits up to twice as long as the one before. */
const moreRounds = 6;
/** ms */
const firstDelay = 10;

/** One contender for a lock that a majority of members has to grant. */
abstract class QuorumClaim {
  readonly raise?: (floor: FencingToken) => Promise<boolean>;
  readonly request: ClaimRequest;
  readonly #lost = new AbortController();
  readonly lost: Signal = this.#lost.signal;
  readonly #needed: number;
  readonly #keptHere: boolean;
  /** ms that one call to one member may take. */
  readonly #patience: number;
  readonly #seats: readonly Seat[];
  /** Of the hold, while there is one. */
  #token: FencingToken | undefined;
  #ttl: number;
  #released = false;

  /** `keptHere`: the parts are kept alive here also when the hold is complete, as a session's hold keeps itself alive. */
  constructor({ members, needed, patience, fences }: Electorate, request: ClaimRequest, keptHere: boolean) {
    this.request = { ...request, join: false };
    this.#needed = needed;
    this.#keptHere = keptHere;
    this.#ttl = request.ttl;
    this.#patience = patience(request.ttl);
    const terms = { patience: this.#patience, doubted: (reason: unknown) => this.#doubt(reason) };
    this.#seats = members.map(({ name, provider }) => {
      return new Seat(name, request.key, () => new Part(provider, { ...this.request, ttl: this.#ttl }, terms));
    });
    if (fences) this.raise = (floor) => this.#askHolders((seat) => seat.raise(floor));
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    if (this.#token !== undefined) return this.#prove(deadline);
    for (let round = 0; ; round++) {
      const outcome = await this.#round(deadline);
      if (outcome !== "split") return outcome;
      const delay = firstDelay * 2 ** round * Math.random();
      if (round === moreRounds || monotonicNow() + delay >= deadline) return undefined;
      await pause(delay, { background: false });
    }
  }

  /** Resolves when so many members are free that others can have the lock; the rest is tried for in the background. */
  async release(): Promise<void> {
    this.#released = true;
    this.#token = undefined;
    const freed = await tally(
      this.#seats.map((seat) => seat.close().then(() => true)),
      this.#needed,
    );
    if (freed.yes < this.#needed) throw this.#noMajority(this.#seats, freed.failed);
  }

  protected get heldParts(): readonly Part[] {
    return this.#held.map(({ part }) => part);
  }

  /** Monotonic ms up to which a majority is certain, where the parts are kept alive here. */
  protected get majorityEnd(): number {
    const ends = this.heldParts.map((part) => part.deadline).sort((one, other) => other - one);
    return ends[this.#needed - 1] ?? Number.NEGATIVE_INFINITY;
  }

  protected async renewMajority(ttl: number): Promise<boolean> {
    this.#ttl = ttl;
    const alive = await this.#askHolders((seat) => seat.renew(ttl));
    // A member that had no part in the hold, or lost it, is asked again: else every failure of one would be for good.
    if (alive) for (const seat of this.#seats) if (seat.empty) void this.#fill(seat);
    return alive;
  }

  get #held(): readonly Seat[] {
    return this.#seats.filter((seat) => seat.held);
  }

  async #round(deadline: number): Promise<FencingToken | "split" | undefined> {
    if (this.#released) return undefined;
    const askedAt = monotonicNow();
    const limit = Math.min(deadline, askedAt + this.#patience);
    for (const seat of this.#seats) seat.vacate();
    const votes = await tally(
      this.#seats.map((seat) => seat.ask(limit)),
      this.#needed,
    );
    if (this.#released) return undefined;
    if (votes.yes < this.#needed) {
      await this.#withdraw(limit);
      if (votes.yes + votes.no < this.#needed) throw this.#noMajority(this.#seats, votes.failed);
      return votes.yes > 0 ? "split" : undefined;
    }
    // Who answers from here on is too late.
    for (const seat of this.#seats) if (!seat.held) seat.vacate();
    const remaining = askedAt + this.request.ttl * 0.99 - 2 - monotonicNow();
    if (remaining >= this.request.ttl / 10) return this.#fence();
    await this.#withdraw(limit);
    return undefined;
  }

  /** The token of a hold that was won: larger than all before, and all that come after are larger. */
  async #fence(): Promise<FencingToken | undefined> {
    const seats = this.#held;
    const token = this.heldParts.reduce((most, part) => (part.token && part.token > most ? part.token : most), 0n);
    const votes = await tally(
      seats.map((seat) => seat.raise(token)),
      this.#needed,
    );
    if (this.#released) return undefined;
    if (votes.yes < this.#needed) {
      await this.#withdraw(monotonicNow() + this.#patience);
      if (votes.yes + votes.failed.size >= this.#needed) throw this.#noMajority(seats, votes.failed);
      return undefined;
    }
    this.#token = token;
    if (!this.#keptHere) for (const part of this.heldParts) part.rest();
    return token;
  }

  /** Asks those who granted it, whose leases begin anew by that. */
  async #prove(deadline: number): Promise<FencingToken | undefined> {
    const limit = Math.min(deadline, monotonicNow() + this.#patience);
    if (await this.#askHolders((seat) => seat.prove(limit, this.#keptHere))) return this.#token;
    this.#token = undefined;
    if (!this.#released) await this.#withdraw(limit);
    return undefined;
  }

  async #fill(seat: Seat): Promise<void> {
    const limit = monotonicNow() + this.#patience;
    if (this.#token !== undefined) await seat.fill(this.#token, limit, this.#keptHere);
  }

  /** Gives up everything, and waits a little for those who have something of it. */
  async #withdraw(until: number): Promise<void> {
    const holding = this.#held;
    for (const seat of this.#seats) seat.vacate();
    await within(
      Math.max(1, until - monotonicNow()),
      holding.flatMap((seat) => seat.left()),
    );
  }

  #doubt(reason: unknown): void {
    if (this.#token === undefined) return;
    if (this.heldParts.filter((part) => part.certain).length < this.#needed) this.#lost.abort(reason);
  }

  /** Whether a majority that has the hold says so. false: certainly not; rejects when nobody knows. */
  async #askHolders(ask: (seat: Seat) => Promise<boolean>): Promise<boolean> {
    if (this.#token === undefined) return false;
    const seats = this.#held;
    const votes = await tally(seats.map(ask), this.#needed);
    if (votes.yes >= this.#needed) return !this.#released;
    if (votes.yes + votes.failed.size < this.#needed) return false;
    throw this.#noMajority(seats, votes.failed);
  }

  #noMajority(seats: readonly Seat[], failed: ReadonlyMap<number, unknown>): Error {
    return noMajority(seats, this.#needed, failed, this.request.key);
  }
}

/** Of leases: whoever holds it renews a majority. */
export class LeaseQuorum extends QuorumClaim implements LeaseClaim {
  constructor(electorate: Electorate, request: ClaimRequest) {
    super(electorate, request, false);
  }

  get ttl(): number | undefined {
    return leastTtl(this.heldParts, this.request);
  }

  renew(ttl: number): Promise<boolean> {
    return this.renewMajority(ttl);
  }
}

/** With sessions among them: what is a lease is renewed here. */
export class SessionQuorum extends QuorumClaim implements SessionClaim {
  constructor(electorate: Electorate, request: ClaimRequest) {
    super(electorate, request, true);
  }

  get ttl(): number {
    return Math.max(this.request.ttl, ...this.heldParts.map(({ claim }) => claim.ttl ?? this.request.ttl));
  }

  certainUntil(): number {
    return this.majorityEnd;
  }
}
