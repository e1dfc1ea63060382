import {
  backoff,
  type ClaimRequest,
  type FencingToken,
  hadNoEffect,
  type LeaseClaim,
  monotonicNow,
  pause,
  type Signal,
} from "@dlock/core";
import { isShared, type Occupancy } from "./company.js";
import type { HolderTable } from "./holder-table.js";
import type { Leases } from "./leases.js";
import type { LeaseTable } from "./lease-table.js";
import type { Watch } from "./watch.js";

/** What a claim is made of; those of one database share it. */
export interface VersionParts {
  readonly leases: LeaseTable;
  readonly holders: HolderTable;
  readonly watch: Watch;
  readonly companies: Watch<Occupancy>;
}

/** Where a hold is kept, and as what. */
interface Place {
  readonly at: Leases;
  readonly request: ClaimRequest;
}

/** ms that a call without a deadline waits for the database before it rejects; core calls again. */
const patience = 1_000;
/** ms that a renewal waits for its answer at most, and after which it keeps no connection from others. */
const longestRenewal = 60_000;
const slow = 2_000;
const longestPause = 100;
/** ms that readers let a writer go first, which says so again twice as often. */
const precedence = 2_000;

/** One contender of the `version` strategy: a lease is a row that compares and bumps its version in one statement. */
export class VersionClaim implements LeaseClaim {
  readonly #parts: VersionParts;
  readonly #request: ClaimRequest;
  readonly #shares: boolean;
  /** More than one while it is not known whether a downgrade took effect. */
  #places: readonly Place[];
  readonly #over = new AbortController();
  #attempts: Promise<unknown> = Promise.resolve();
  /** Whether the row may be ours. */
  #mayHold = false;
  /** Whether there was an attempt that nobody knows the end of: core has us release once more when it can take effect no more. */
  #inDoubt = false;
  /** Monotonic ms at which the lease ends at the latest, as far as was asked for. */
  #ends = 0;
  /** Under way. */
  #renewals = 0;
  /** Of the last hold. */
  #token: FencingToken | undefined;
  readonly #floors = new Set<FencingToken>();
  /** Free by the look of it and yet not to be had, so many times in a row. */
  #races = 0;
  #behindReaders = false;
  /** Whether readers may have been asked to let us go first. */
  #announced = false;

  constructor(parts: VersionParts, request: ClaimRequest) {
    this.#parts = parts;
    this.#request = request;
    this.#shares = request.mode === "shared" || request.limit > 1;
    this.#places = [{ at: this.#shares ? parts.holders : parts.leases, request }];
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    const { signal } = this.#over;
    if (signal.aborted) return undefined;
    this.#mayHold = true;
    this.#ends = Math.max(this.#ends, monotonicNow() + this.#request.ttl);
    const attempt = this.#take(deadline);
    this.#attempts = Promise.allSettled([this.#attempts, attempt]);
    try {
      const token = this.#tokenOf(await attempt);
      this.#mayHold = token !== undefined;
      return signal.aborted ? undefined : token;
    } catch (error) {
      this.#inDoubt ||= !hadNoEffect(error);
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  async waitTurn(signal: Signal): Promise<void> {
    // A transaction may keep the row of a free lease locked.
    if (this.#races > 0) await pause(backoff(this.#races, longestPause), { signal, background: false });
    const held = await (this.#behindReaders ? this.#waitForReaders(signal) : this.#wait(signal));
    this.#races = held ? 0 : this.#races + 1;
  }

  async renew(ttl: number): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    const now = monotonicNow();
    const ends = now + ttl;
    const shorter = ends < this.#ends;
    this.#ends = Math.max(this.#ends, ends);
    // An answer proves something for as long as the lease can last that it is about. Core asks again in the meantime.
    const [until, slowFrom] = [now + Math.min(ttl, longestRenewal), now + Math.min(Math.max(ttl / 3, 5), slow)];
    // One that would have to wait behind the last one is better asked for anew when that is answered: its time counts from now.
    const patience = { until, slowFrom, atOnce: this.#renewals > 0, signal: this.#over.signal };
    this.#renewals++;
    try {
      const renewed = await this.#anywhere(({ at, request }) => at.renew(request, ttl, patience, { shorter }));
      // Another one that is under way may still make it later.
      if (renewed && this.#renewals === 1) this.#ends = ends;
      return renewed;
    } finally {
      this.#renewals--;
    }
  }

  async raise(floor: FencingToken): Promise<boolean> {
    if (this.#over.signal.aborted || this.#token === undefined) return false;
    this.#floors.add(floor);
    const raised = await this.#anywhere(({ at, request }) => at.raise(request, floor, this.#soon()));
    if (!raised) this.#floors.delete(floor);
    return raised;
  }

  async downgrade(): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    const before = this.#places;
    const { holders } = this.#parts;
    const place: Place = { at: holders, request: { ...this.#request, mode: "shared" } };
    this.#places = [place, ...before];
    const downgrading = holders.downgrade(this.#request, this.#soon());
    this.#attempts = Promise.allSettled([this.#attempts, downgrading]);
    const done = await downgrading;
    this.#places = done ? [place] : before;
    return done;
  }

  async release(): Promise<void> {
    // No statement is sent from now on; one that is on its way is not to be overtaken.
    this.#over.abort();
    await this.#attempts;
    const until = monotonicNow() + patience;
    if (this.#mayHold || this.#inDoubt) {
      for (const { at, request } of this.#places) await at.giveUp(request, { until });
      this.#mayHold = false;
    }
    if (this.#announced) await this.#parts.holders.withdraw(this.#request, { until });
    this.#announced = false;
  }

  async #take(deadline: number): Promise<FencingToken | undefined> {
    for (const place of this.#places) {
      const { token, holder } = await place.at.take(place.request, { until: deadline, signal: this.#over.signal });
      this.#behindReaders = this.#request.join && holder !== undefined && isShared(holder);
      if (token === undefined) continue;
      this.#places = [place];
      return token;
    }
    return undefined;
  }

  #wait(signal: Signal): Promise<boolean> {
    const { leases, holders, watch, companies } = this.#parts;
    const key = leases.stored(this.#request.key);
    if (!this.#shares) return watch.wait(key, signal);
    return companies.wait(key, signal, (seen) => holders.left(this.#request, seen));
  }

  /** Readers would come and go for ever: those who come from now on wait. Returns early, to say so again. */
  async #waitForReaders(signal: Signal): Promise<boolean> {
    this.#announced = true;
    const announcing = this.#parts.holders.wait(this.#request, precedence, this.#soon());
    this.#attempts = Promise.allSettled([this.#attempts, announcing]);
    await announcing;
    const over = new AbortController();
    const abort = () => over.abort();
    if (signal.aborted) return true;
    signal.addEventListener("abort", abort);
    void pause(precedence / 2, { signal: over.signal, background: true }).then(abort);
    try {
      return await this.#wait(over.signal);
    } finally {
      signal.removeEventListener("abort", abort);
      abort();
    }
  }

  /** It may be on its way from one place to another: most likely there by now, and in none only if not in the old one and then not in the new one. */
  async #anywhere(work: (place: Place) => Promise<boolean>): Promise<boolean> {
    const places = this.#places;
    for (const place of [...places, ...places.toReversed().slice(1)]) if (await work(place)) return true;
    return false;
  }

  #soon(): { readonly until: number; readonly signal: Signal } {
    return { until: monotonicNow() + patience, signal: this.#over.signal };
  }

  /** The row of a hold that was raised has a floor for its version; that of another hold has a larger one. */
  #tokenOf(version: FencingToken | undefined): FencingToken | undefined {
    if (version === this.#token) return version;
    if (version === undefined || !this.#floors.has(version)) {
      this.#floors.clear();
      this.#token = version;
    }
    return this.#token;
  }
}
