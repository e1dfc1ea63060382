import { backoff } from "./backoff.js";
import { monotonicNow } from "./clock.js";
import { hadNoEffect, isLockError, isRetryable, LockBackendError } from "./errors.js";
import { Moment } from "./moment.js";
import type { Claim, FencingToken } from "./provider.js";
import { invoke, pause, settleBy, type Waiting } from "./settle.js";

export interface Grant {
  readonly token: FencingToken;
  readonly asked: Moment;
}

interface Attempt {
  readonly deadline: number;
  /** Settles only when the outcome is known, which a rejection as a rule is not. */
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
    return token === undefined ? undefined : { token, asked };
  }

  /**
   * Gives the claim up, trying again until `until` (monotonic ms): `confirmed` resolves with `undefined` when the backend
   * confirmed it, else with what prevented it. `undone` goes on in the background until no attempt can take effect any more.
   */
  retire(until: number, waiting: Waiting): { readonly confirmed: Promise<unknown>; readonly undone: Promise<void> } {
    const confirmed = this.#release(until, waiting);
    return { confirmed, undone: this.#undo(confirmed) };
  }

  async #undo(confirmed: Promise<unknown>): Promise<void> {
    const failure = await confirmed;
    const leaseEnd = monotonicNow() + this.#ttl;
    if (failure !== undefined && isHopeless(failure)) return;
    if (failure !== undefined) await this.#release(leaseEnd, inBackground);
    const attempts = [...this.#unanswered];
    if (attempts.length === 0) return;
    const latest = Math.max(...attempts.map((attempt) => attempt.deadline)) + clockDoubt;
    const answered = new AbortController();
    void Promise.all(attempts.map((attempt) => attempt.answered)).then(() => answered.abort("answered"));
    await pause(latest - monotonicNow(), { ...inBackground, signal: answered.signal });
    // An attempt that was answered after the release was undone by the claim itself; one that never was may have come later.
    if (!answered.signal.aborted) await this.#release(monotonicNow() + this.#ttl, inBackground);
  }

  /** `undefined` when the backend confirmed, else its last error. */
  async #release(until: number, waiting: Waiting): Promise<unknown> {
    for (let failures = 0; ; failures++) {
      const askedAt = monotonicNow();
      const deadline = Math.min(askedAt + this.#backendTimeout, Math.max(until, askedAt + 1));
      try {
        await settleBy(
          () => this.claim.release(),
          deadline,
          () => silent(this.#key, askedAt),
          waiting,
        );
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
