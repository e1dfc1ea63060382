import { backoff } from "./backoff.js";
import { leastTtl } from "./check.js";
import { monotonicNow } from "./clock.js";
import { hadNoEffect, isLockError, isRetryable, LockBackendError, LockLostError } from "./errors.js";
import { Moment } from "./moment.js";
import type { Claim, FencingToken } from "./provider.js";
import { invoke, pause, settleBy, type Waiting } from "./settle.js";
import { certainUntil, isFresh } from "./validity.js";

export interface Grant {
  readonly token: FencingToken;
  readonly asked: Moment;
  /** Monotonic ms until which another attempt of the claim, of unknown outcome, may still take effect. */
  readonly doubtfulUntil: number;
}

/** A claim that is being given up. */
export interface Retirement {
  /** Resolves with `undefined` when the backend confirmed it, else with what prevented it. */
  readonly confirmed: Promise<unknown>;
  /** Resolves when no attempt can take effect any more. */
  readonly undone: Promise<void>;
}

interface Attempt {
  readonly deadline: number;
  /** Settles only when the outcome is known, which a rejection as a rule is not, or can do no more harm. */
  readonly answered: Promise<void>;
}

const inBackground = { background: true };
// The deadline of an attempt is kept by the server's clock, whose offset is known to within a round trip.
const clockDoubt = 250;

/** One claim, and what is still unknown about it. */
export class Contender {
  readonly claim: Claim;
  readonly #key: string;
  readonly #ttl: number;
  readonly #backendTimeout: number;
  readonly #unanswered = new Set<Attempt>();
  #retired = false;

  constructor(claim: Claim, terms: { readonly key: string; readonly ttl: number; readonly backendTimeout: number }) {
    this.claim = claim;
    this.#key = terms.key;
    this.#ttl = terms.ttl;
    this.#backendTimeout = terms.backendTimeout;
  }

  /** Rejects with the provider's error, or with `LockBackendError` when the provider is silent until the deadline. */
  async tryAcquire(deadline: number): Promise<Grant | undefined> {
    const asked = new Moment();
    const token = await settleBy(
      () => {
        const answer = invoke(() => this.claim.tryAcquire(deadline));
        this.#remember(answer, deadline);
        return answer;
      },
      deadline,
      () => silent(this.#key, asked.at),
      { background: false },
    );
    return token === undefined ? undefined : { token, asked, doubtfulUntil: this.#doubtfulUntil };
  }

  /**
   * The same, and once more when the answer comes so late (a connection was made for it, say) that less than half of the
   * ttl is left: that starts the lease anew. Whoever gets a grant looks whether it is certain.
   */
  async tryAcquireAfresh(deadline: number): Promise<Grant | undefined> {
    const first = await this.tryAcquire(deadline);
    if (first === undefined || isFresh(this.claim, first.asked, this.#ttl) || this.#retired) return first;
    const now = monotonicNow();
    try {
      // With a little time to spare, in which the first grant can still be handed over.
      return await this.tryAcquire(now + (deadline - now) * 0.9);
    } catch (error) {
      if (certainUntil(this.claim, first.asked, this.#ttl) <= monotonicNow()) throw error;
      return { ...first, doubtfulUntil: this.#doubtfulUntil };
    }
  }

  get #doubtfulUntil(): number {
    return Math.max(...[...this.#unanswered].map((attempt) => attempt.deadline)) + clockDoubt;
  }

  /** Gives the claim up, trying again until `until` (monotonic ms), and then in the background until no attempt can take effect any more. */
  retire(until: number, waiting: Waiting): Retirement {
    // An attempt that is answered after the release is undone by the claim itself.
    return this.#finish(() => this.claim.release(), until, waiting, { undoesAnswered: true });
  }

  /** As `retire`, but the lease of the hold is left to end at `end` (monotonic ms): anew, when one of the `unanswered` calls may have moved that. */
  expire(end: number, until: number, { unanswered }: { readonly unanswered: readonly Promise<unknown>[] }): Retirement {
    const deadline = monotonicNow() + this.#ttl;
    for (const call of unanswered) {
      const attempt: Attempt = { deadline, answered: call.then(() => void this.#unanswered.delete(attempt)) };
      this.#unanswered.add(attempt);
    }
    return this.#finish(() => this.#leaveUntil(end), until, { background: false }, { undoesAnswered: false });
  }

  async #leaveUntil(end: number): Promise<void> {
    const left = Math.ceil(end - monotonicNow());
    if (left <= 0) return this.claim.release();
    if (await this.claim.renew?.(Math.max(left, leastTtl))) return;
    throw new LockLostError(this.#key, "was ended by the backend");
  }

  #finish(
    step: () => Promise<void>,
    until: number,
    waiting: Waiting,
    claim: { readonly undoesAnswered: boolean },
  ): Retirement {
    this.#retired = true;
    const confirmed = this.#repeat(step, until, waiting);
    return { confirmed, undone: this.#undo(step, confirmed, claim) };
  }

  async #undo(
    step: () => Promise<void>,
    confirmed: Promise<unknown>,
    { undoesAnswered }: { readonly undoesAnswered: boolean },
  ): Promise<void> {
    const failure = await confirmed;
    const leaseEnd = monotonicNow() + this.#ttl;
    if (failure !== undefined && isHopeless(failure)) return;
    if (failure !== undefined) await this.#repeat(step, leaseEnd, inBackground);
    const attempts = [...this.#unanswered];
    if (attempts.length === 0) return;
    const latest = this.#doubtfulUntil;
    const answered = new AbortController();
    void Promise.all(attempts.map((attempt) => attempt.answered)).then(() => answered.abort("answered"));
    await pause(latest - monotonicNow(), { ...inBackground, signal: answered.signal });
    // One that was never answered may have come later.
    if (!answered.signal.aborted || !undoesAnswered) await this.#repeat(step, monotonicNow() + this.#ttl, inBackground);
  }

  /** `undefined` when the backend confirmed, else its last error. */
  async #repeat(step: () => Promise<void>, until: number, waiting: Waiting): Promise<unknown> {
    for (let failures = 0; ; failures++) {
      const askedAt = monotonicNow();
      const deadline = Math.min(askedAt + this.#backendTimeout, Math.max(until, askedAt + 1));
      try {
        await settleBy(step, deadline, () => silent(this.#key, askedAt), waiting);
        return undefined;
      } catch (error) {
        const wait = backoff(failures);
        if (isHopeless(error) || monotonicNow() + wait >= until) return error ?? silent(this.#key, askedAt);
        await pause(wait, waiting);
      }
    }
  }

  #remember(answer: Promise<unknown>, deadline: number): void {
    const attempt: Attempt = {
      deadline,
      answered: new Promise((resolve) => {
        const forget = () => {
          this.#unanswered.delete(attempt);
          resolve();
        };
        answer.then(forget, (error: unknown) => hadNoEffect(error) && forget());
      }),
    };
    for (const old of this.#unanswered) if (old.deadline + clockDoubt < monotonicNow()) this.#unanswered.delete(old);
    this.#unanswered.add(attempt);
  }
}

/** Whether trying again is useless: the provider says so. What a driver throws says nothing. */
function isHopeless(error: unknown): boolean {
  return isLockError(error) && !isRetryable(error);
}

function silent(key: string, since: number): LockBackendError {
  const waited = Math.round(monotonicNow() - since);
  return new LockBackendError(`the backend did not answer for ${waited} ms about "${key}"`, { key, retryable: true });
}
