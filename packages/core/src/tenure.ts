import { Alarm } from "./alarm.js";
import { monotonicNow, SleepWatch } from "./clock.js";
import { LockBackendError, LockLostError } from "./errors.js";
import { onAbort } from "./on-abort.js";
import type { Claim } from "./provider.js";
import { settleBy, type Waiting } from "./settle.js";
import type { Signal } from "./signal.js";

export interface TenureTerms {
  readonly key: string;
  readonly ttl: number;
  /** Default true. */
  readonly autoRenew?: boolean | undefined;
  /** ms after which renewal stops; default: never. */
  readonly maxHold?: number | undefined;
  /** ms; default 10 000. */
  readonly backendTimeout?: number | undefined;
}

export interface TenureListener {
  renewed?(took: number): void;
  renewFailed?(error: unknown, remaining: number): void;
  /** Called once, after `signal` aborted. */
  lost?(reason: LockLostError): void;
}

/** ms by which two clocks may drift apart within `ttl`: 1 % and 2 ms, as in the Redlock algorithm. */
const drift = (ttl: number): number => ttl / 100 + 2;

/** The monotonic time up to which a claim is certainly held, by an answer to what was asked at `askedAt`. */
export function certainUntil(claim: Claim, askedAt: number, ttl: number): number {
  return "certainUntil" in claim ? claim.certainUntil() : askedAt + ttl - drift(ttl);
}

/**
 * Keeps one claim alive and knows at every instant whether it certainly is: by this process's clock alone, counted from
 * before the last acknowledged request was sent.
 */
export class Tenure {
  readonly #key: string;
  readonly #claim: Claim;
  readonly #listener: TenureListener;
  readonly #backendTimeout: number;
  readonly #autoRenew: boolean;
  readonly #stopRenewing: number;
  readonly #sleep = new SleepWatch();
  readonly #expiry = new Alarm(() => this.#watch(), { background: true });
  readonly #renewal = new Alarm(() => void this.#renewInBackground(), { background: true });
  #aborter: AbortController | undefined;
  #ttl: number;
  #leaseEnd: number;
  /** Where core itself ends the hold, whatever the backend would grant. */
  #fixedEnd = Number.POSITIVE_INFINITY;
  #renewing: Promise<void> = Promise.resolve();
  #stopListening: () => void = () => {};
  #end: LockLostError | "given up" | undefined;

  constructor(claim: Claim, askedAt: number, terms: TenureTerms, listener: TenureListener = {}) {
    this.#key = terms.key;
    this.#claim = claim;
    this.#listener = listener;
    this.#ttl = claim.ttl ?? terms.ttl;
    this.#autoRenew = terms.autoRenew ?? true;
    this.#backendTimeout = terms.backendTimeout ?? 10_000;
    this.#leaseEnd = askedAt + this.#ttl - drift(this.#ttl);
    this.#stopRenewing = askedAt + (terms.maxHold ?? Number.POSITIVE_INFINITY);
    this.#setFixedEnd(askedAt, terms.ttl);
    this.#arm(askedAt);
    const { lost } = claim;
    if (lost) this.#stopListening = onAbort(lost, () => this.lose("was ended by the backend", lost.reason));
  }

  /** ms a dead holder keeps the lock. */
  get ttl(): number {
    return this.#ttl;
  }

  /** Aborts when the hold may have ended; never when it was given up. */
  get signal(): Signal {
    // Made when first asked for: most sections are over long before anything could be lost.
    this.#aborter ??= new AbortController();
    if (this.#end instanceof LockLostError && !this.#aborter.signal.aborted) this.#aborter.abort(this.#end);
    return this.#aborter.signal;
  }

  /** Monotonic ms up to which the hold is certain, as far as is known now. */
  get deadline(): number {
    const end = "certainUntil" in this.#claim ? this.#claim.certainUntil() : this.#leaseEnd;
    return Math.min(end, this.#fixedEnd);
  }

  /** Whether this is over: given up, or known to be lost. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** The loss, if the hold is not certain at this instant. Exact: compares clocks. */
  loss(): LockLostError | undefined {
    if (this.#end === undefined) {
      if (this.#sleep.slept()) this.lose("may have ended while the machine slept");
      else if (monotonicNow() >= this.deadline) this.lose("was not renewed in time");
    }
    return this.#end instanceof LockLostError ? this.#end : undefined;
  }

  throwIfLost(margin = 0): void {
    const loss = this.loss();
    if (loss !== undefined) throw loss;
    if (this.#end !== undefined) throw new LockLostError(this.#key, "was given up");
    const remaining = this.deadline - monotonicNow();
    if (remaining < margin) {
      throw new LockLostError(this.#key, `is certain for ${Math.floor(remaining)} ms more, ${margin} were asked for`);
    }
  }

  /** Restarts the lease at `ttl`, which later renewals keep. Rejects when the hold is gone or nobody knows. */
  async extend(ttl: number = this.#ttl): Promise<void> {
    this.throwIfLost();
    await this.#renew(ttl, { background: false });
  }

  /** Stops keeping the claim alive; from here on its end is no loss. The caller releases it. */
  giveUp(): void {
    this.#end ??= "given up";
    this.#rest();
  }

  /** Ends the hold as lost, for a reason of core's own. */
  lose(why: string, cause?: unknown): void {
    if (this.#end !== undefined) return;
    const reason = new LockLostError(this.#key, why, { cause });
    this.#end = reason;
    this.#rest();
    this.#aborter?.abort(reason);
    this.#listener.lost?.(reason);
  }

  #rest(): void {
    this.#expiry.clear();
    this.#renewal.clear();
    this.#stopListening();
  }

  #arm(askedAt: number): void {
    this.#expiry.set(this.deadline);
    const next = askedAt + this.#ttl / 3;
    const alive = "certainUntil" in this.#claim || this.#autoRenew;
    if (this.#claim.renew && alive && next < this.#stopRenewing) this.#renewal.set(next);
  }

  /** The deadline came, or has moved since the alarm was set. */
  #watch(): void {
    if (this.loss() === undefined) this.#expiry.set(this.deadline);
  }

  async #renewInBackground(): Promise<void> {
    try {
      if (this.loss() === undefined) await this.#renew(this.#ttl, { background: true });
    } catch (error) {
      if (this.#end !== undefined) return;
      const now = monotonicNow();
      this.#listener.renewFailed?.(error, this.deadline - now);
      if (now < this.#stopRenewing) this.#renewal.set(now + Math.min(1_000, this.#ttl / 10));
    }
  }

  /** One renewal at a time: of two that overlap, nobody knows which one the server saw last. */
  #renew(ttl: number, waiting: Waiting): Promise<void> {
    const turn = this.#renewing.then(() => this.#renewNow(ttl, waiting));
    this.#renewing = turn.catch(() => {});
    return turn;
  }

  async #renewNow(ttl: number, waiting: Waiting): Promise<void> {
    this.throwIfLost();
    const askedAt = monotonicNow();
    if (this.#claim.renew) {
      const limit = Math.min(this.deadline, askedAt + Math.min(this.#backendTimeout, Math.max(this.#ttl / 3, 5)));
      const promised = askedAt + ttl - drift(ttl);
      // A shorter lease may be in force from the moment it was asked for.
      if (promised < this.#leaseEnd) this.#expiry.set((this.#leaseEnd = promised));
      const alive = await settleBy(
        () => this.#call(ttl),
        limit,
        () => this.#silent(),
        waiting,
      );
      if (this.#end === undefined && !alive) this.lose("was ended by the backend");
      this.throwIfLost();
      this.#leaseEnd = promised;
    }
    this.#ttl = this.#claim.ttl ?? ttl;
    // A heartbeat keeps a session alive; only `extend` moves the end of a hold that is not to be renewed.
    if (this.#autoRenew || !waiting.background) this.#setFixedEnd(askedAt, ttl);
    this.#arm(askedAt);
    this.#listener.renewed?.(monotonicNow() - askedAt);
  }

  async #call(ttl: number): Promise<boolean> {
    return (await this.#claim.renew?.(ttl)) ?? true;
  }

  #silent(): LockBackendError {
    return new LockBackendError(`the backend did not answer a renewal of "${this.#key}"`, {
      key: this.#key,
      retryable: true,
    });
  }

  #setFixedEnd(askedAt: number, ttl: number): void {
    const last = this.#stopRenewing + ttl;
    this.#fixedEnd = this.#autoRenew ? last : Math.min(last, askedAt + ttl - drift(ttl));
  }
}
