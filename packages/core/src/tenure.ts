import { Alarm } from "./alarm.js";
import { monotonicNow } from "./clock.js";
import { asLockError, hadNoEffect, LockBackendError, LockLostError } from "./errors.js";
import type { Moment } from "./moment.js";
import { onAbort } from "./on-abort.js";
import type { Claim, LeaseClaim } from "./provider.js";
import { settleBy, type Waiting } from "./settle.js";
import type { Signal } from "./signal.js";
import { leaseEnd, type Restart, Validity } from "./validity.js";

export interface TenureTerms {
  readonly key: string;
  readonly ttl: number;
  /** Default true. */
  readonly autoRenew?: boolean | undefined;
  /** ms after which renewal stops; default: never. */
  readonly maxHold?: number | undefined;
  /** ms; default 10 000. */
  readonly backendTimeout?: number | undefined;
  /** Monotonic ms until which an earlier attempt of this claim may still take effect; default: none can. */
  readonly doubtfulUntil?: number | undefined;
}

export interface TenureListener {
  renewed?(took: number): void;
  renewFailed?(error: unknown, remaining: number): void;
  /** Called once, after `signal` aborted. */
  lost?(reason: LockLostError): void;
}

/** Whether the claim ends by its time alone, and not with its process. */
export function isLease(claim: Claim): claim is LeaseClaim {
  return !("certainUntil" in claim);
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
  readonly #renewUntil: number;
  readonly #expiry = new Alarm(() => this.#watch(), { background: true });
  readonly #renewal = new Alarm(() => void this.#renewInBackground(), { background: true });
  #aborter: AbortController | undefined;
  /** As asked for; what the backend made of it is `ttl`. */
  #wanted: number;
  /** When that was asked for, in monotonic ms. */
  #wantedSince: number;
  readonly #validity: Validity;
  /** Where core itself ends the hold, whatever the backend would grant. */
  #fixedEnd: number;
  #renewing: Promise<void> = Promise.resolve();
  readonly #unanswered = new Set<Promise<unknown>>();
  /** Of the last call that was not answered within its limit. */
  #silence: LockBackendError | undefined;
  #stopListening: () => void = () => {};
  #end: LockLostError | "given up" | undefined;

  /** Of a claim that was granted by what was asked at `asked`. */
  constructor(claim: Claim, asked: Moment, terms: TenureTerms, listener: TenureListener = {}) {
    this.#key = terms.key;
    this.#claim = claim;
    this.#listener = listener;
    this.#autoRenew = terms.autoRenew ?? true;
    this.#backendTimeout = terms.backendTimeout ?? 10_000;
    this.#renewUntil = asked.at + (terms.maxHold ?? Number.POSITIVE_INFINITY);
    this.#wanted = terms.ttl;
    this.#wantedSince = asked.at;
    this.#validity = new Validity(asked, this.ttl, terms.doubtfulUntil);
    this.#fixedEnd = this.#endFrom(asked.at);
    this.#arm(asked.at, this.ttl);
    const { lost } = claim;
    if (lost) this.#stopListening = onAbort(lost, () => this.lose("was ended by the backend", lost.reason));
  }

  /** ms a dead holder keeps the lock. */
  get ttl(): number {
    return this.#claim.ttl ?? this.#wanted;
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
    const end = "certainUntil" in this.#claim ? this.#claim.certainUntil() : this.#validity.end;
    return Math.min(end, this.#fixedEnd);
  }

  /** The loss, if the hold is not certain at this instant. Exact: compares clocks. */
  loss(): LockLostError | undefined {
    if (this.#end === undefined) {
      if (this.#validity.slept) this.lose("may have ended while the machine slept");
      else if (monotonicNow() >= this.deadline) this.lose("was not renewed in time");
    }
    return this.#end instanceof LockLostError ? this.#end : undefined;
  }

  /** Whether the claim is a lease: it ends by its time, also without its process. */
  get leased(): boolean {
    return isLease(this.#claim);
  }

  /** Calls that nobody waits for any more may be among them: each resolves when its answer came, and may take effect until then. */
  get unanswered(): readonly Promise<unknown>[] {
    return [...this.#unanswered];
  }

  /** Whether it is over at this instant: given up, or lost. */
  get ended(): boolean {
    return this.loss() !== undefined || this.#end !== undefined;
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

  /** Restarts the lease at `ttl`, which later renewals keep; default: as before. Rejects with `LockLostError` when the hold is gone, `LockBackendError` when nobody knows. */
  async extend(ttl?: number): Promise<void> {
    this.throwIfLost();
    try {
      await this.#renew(ttl, { background: false });
    } catch (error) {
      throw asLockError(error, this.#key);
    }
  }

  /** Runs a step on the claim between two renewals. Rejects with `LockLostError` when the hold is gone before or after it. */
  async change(step: () => Promise<void>): Promise<void> {
    const turn = this.#renewing.then(async () => {
      this.throwIfLost();
      const silent = () => this.#silent("a change");
      await settleBy(() => this.#remember(step()), this.#patience(monotonicNow()), silent, { background: false });
      this.throwIfLost();
    });
    // The caller hears of it; whoever comes next only has to wait.
    this.#renewing = turn.catch(() => {});
    try {
      await turn;
    } catch (error) {
      throw asLockError(error, this.#key);
    }
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

  /** `span`: ms the lease lasts from `from` on. */
  #arm(from: number, span: number): void {
    this.#expiry.set(this.deadline);
    const next = from + span / 3;
    const keep = this.#autoRenew || "certainUntil" in this.#claim;
    if (this.#claim.renew && keep && next < this.#renewUntil) this.#renewal.set(next);
  }

  /** The deadline came, or has moved since the alarm was set. */
  #watch(): void {
    if (this.loss() === undefined) this.#expiry.set(this.deadline);
  }

  async #renewInBackground(): Promise<void> {
    try {
      if (this.loss() === undefined) await this.#renew(undefined, { background: true });
    } catch (error) {
      if (this.ended) return;
      const now = monotonicNow();
      this.#listener.renewFailed?.(error, this.deadline - now);
      // The listener may have given it up.
      if (now >= this.#renewUntil || this.ended) return;
      // The answer may still come. But when it does, the next one has to be on its way.
      const waitedEnough = error === this.#silence && this.#backendTimeout >= this.ttl / 3;
      this.#renewal.set(waitedEnough ? now : now + Math.min(1_000, this.ttl / 10));
    }
  }

  /** One renewal at a time, as long as each is answered within its limit. */
  #renew(ttl: number | undefined, waiting: Waiting): Promise<void> {
    const turn = this.#renewing.then(() => this.#renewNow(ttl ?? this.#wanted, waiting));
    this.#renewing = turn.catch(() => {});
    return turn;
  }

  async #renewNow(ttl: number, waiting: Waiting): Promise<void> {
    this.throwIfLost();
    const limit = this.#patience(monotonicNow());
    const before = this.#validity.end;
    const restart = this.#validity.ask(this.#claim.ttl ?? ttl);
    const { at } = restart.asked;
    if (this.#validity.end < before) this.#shorten(restart, ttl);
    let late = false;
    const answered = async (): Promise<void> => {
      if (!(await this.#remember(this.#call(restart, ttl)))) return this.lose("was ended by the backend");
      // Whatever it proves, it comes too late for a hold that has ended by now.
      if (this.ended) return;
      this.#acknowledge(restart, ttl, waiting);
      if (late) this.#expiry.set(this.deadline);
      else this.#arm(at, restart.span);
      this.#listener.renewed?.(monotonicNow() - at);
    };
    const silent = (): Error => {
      late = true;
      return this.#silent("a renewal");
    };
    await settleBy(answered, limit, silent, waiting);
    this.throwIfLost();
  }

  /** Rejects when nobody knows. */
  async #call(restart: Restart, ttl: number): Promise<boolean> {
    try {
      return (await this.#claim.renew?.(ttl)) ?? true;
    } catch (error) {
      if (hadNoEffect(error)) this.#validity.forget(restart);
      else this.#validity.doubt(restart);
      throw error;
    }
  }

  #acknowledge(restart: Restart, ttl: number, { background }: Waiting): void {
    const { at } = restart.asked;
    const isNewest = this.#validity.prove(restart);
    // An answer may come after that to a later `extend`.
    const sets = background ? isNewest && this.#autoRenew : at >= this.#wantedSince;
    if (!background && sets) this.#want(ttl, at);
    // A heartbeat keeps a session alive; only `extend` moves the end of a hold that is not to be renewed.
    if (sets) this.#fixedEnd = this.#endFrom(at);
  }

  /** A shorter lease may be in force from the moment it is asked for, so it is kept by its own measure at once. */
  #shorten({ asked, span }: Restart, ttl: number): void {
    this.#want(ttl, asked.at);
    this.#arm(asked.at, span);
    // The answer may be waited for longer than the shorter lease can wait for its next renewal.
    this.#renewing = Promise.resolve();
  }

  /** What `extend` asked for at `since`. */
  #want(ttl: number, since: number): void {
    this.#wanted = ttl;
    this.#wantedSince = since;
  }

  #remember<Value>(answer: Promise<Value>): Promise<Value> {
    const settled: Promise<unknown> = answer.then(forget, forget);
    const unanswered = this.#unanswered.add(settled);
    function forget(): void {
      unanswered.delete(settled);
    }
    return answer;
  }

  /** Until when an answer is waited for: others have to be asked for as well before the hold ends. */
  #patience(askedAt: number): number {
    return Math.min(this.deadline, askedAt + Math.min(this.#backendTimeout, Math.max(this.ttl / 3, 5)));
  }

  #silent(asked: string): LockBackendError {
    const key = this.#key;
    const message = `the backend did not answer ${asked} of "${key}" in time`;
    return (this.#silence = new LockBackendError(message, { key, retryable: true }));
  }

  #endFrom(askedAt: number): number {
    const last = Math.max(this.#renewUntil, askedAt) + this.#wanted;
    return this.#autoRenew ? last : Math.min(last, leaseEnd(askedAt, this.#wanted));
  }
}
