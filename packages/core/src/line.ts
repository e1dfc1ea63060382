import { Alarm } from "./alarm.js";
import { backoff } from "./backoff.js";
import { monotonicNow } from "./clock.js";
import type { Contender, Grant } from "./contender.js";
import { asLockError, isRetryable, lateAnswer, LockBackendError } from "./errors.js";
import { onAbort } from "./on-abort.js";
import type { Queue } from "./queue.js";
import { pause, unlessAborted } from "./settle.js";
import { certainUntil } from "./validity.js";
import type { Waiter } from "./waiter.js";
import type { Want } from "./want.js";

const longestPoll = 200;

/**
 * The waiters of this process for one key on equal terms, first come first served. One claim contends for all of them:
 * when its head gives up, the next one inherits its place; it is given up when nobody is left.
 */
export class Line {
  readonly #queue: Queue;
  readonly #terms: Want;
  readonly #waiters = new Set<Waiter>();
  readonly #patience = new Alarm(() => this.#endPatience(), { background: false });
  readonly #suspicion = new Alarm(() => this.#suspect(), { background: true });
  /** Aborts when the claim in line is of no use any more: nobody is left to contend for, or its session is gone. */
  #over = new AbortController();
  /** Monotonic ms since when the backend has given no answer. */
  #silentSince: number | undefined;
  #trouble: unknown;
  /** Whether the last answer was "not free": whoever joins now waits. */
  #refused = false;
  #failures = 0;
  /** Monotonic ms; of all who ever stood here. */
  #lastDeadline = 0;

  constructor(queue: Queue, terms: Want) {
    this.#queue = queue;
    this.#terms = terms;
  }

  get #empty(): boolean {
    return this.#waiters.size === 0;
  }

  join(waiter: Waiter): void {
    this.#waiters.add(waiter);
    this.#lastDeadline = Math.max(this.#lastDeadline, waiter.deadline);
    waiter.left = () => this.#leave(waiter);
    waiter.trouble = () => this.#trouble;
    if (this.#refused) this.#queue.contended(waiter);
    if (this.#silentSince !== undefined) this.#endPatience();
  }

  #leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    if (this.#empty) this.#over.abort("nobody waits");
  }

  /** Serves until nobody is left, and says so in the same step. Never rejects. */
  async serve(done: () => void): Promise<void> {
    while (!this.#empty) {
      this.#over = new AbortController();
      try {
        const contender = this.#queue.contender(this.#terms, { join: true });
        const { lost } = contender.claim;
        const stop = lost && onAbort(lost, () => this.#over.abort(lost.reason));
        const handed = await this.#contend(contender);
        stop?.();
        if (!handed) this.#queue.retire(contender, this.#terms.backendTimeout);
        if (lost?.aborted && !handed && !this.#empty) await this.#mourn(lost.reason);
      } catch (error) {
        this.#failAll(asLockError(error, this.#terms.key));
      }
      this.#refused = false;
      this.#suspicion.clear();
    }
    this.#answered();
    done();
  }

  /** Asks and waits in turn until the claim holds; false when it is to be given up. */
  async #contend(contender: Contender): Promise<boolean> {
    const over = this.#over.signal;
    for (let polls = 0; !over.aborted;) {
      try {
        const grant = await unlessAborted(contender.tryAcquireAfresh(this.#ask()), over);
        if (over.aborted) return false;
        if (grant === undefined) {
          this.#answered();
          this.#refuse();
          polls = (await this.#turn(contender)) ? 0 : polls + 1;
          // The first turn that comes at once is a lost race; more of them must not keep the event loop from turning.
          if (polls > 1 || !contender.claim.waitTurn)
            await pause(backoff(polls, longestPoll), { background: false, signal: over });
        } else if (certainUntil(contender.claim, grant.asked, this.#terms.ttl) > monotonicNow()) {
          this.#answered();
          return this.#hand(contender, grant);
        } else {
          // Asking again starts the lease anew.
          throw lateAnswer(this.#terms);
        }
      } catch (error) {
        this.#ride(error);
        await this.#rest();
      }
    }
    return false;
  }

  /** The claim's session ended while it waited: a failure like any other, after which a new claim takes its place. */
  async #mourn(reason: unknown): Promise<void> {
    this.#silentSince ??= monotonicNow();
    const { key } = this.#terms;
    this.#ride(
      new LockBackendError(`the session that waited for "${key}" ended`, { key, cause: reason, retryable: true }),
    );
    await pause(backoff(this.#failures++), { background: false });
  }

  /** Waits for the claim's turn; false when that took no time. */
  async #turn({ claim }: Contender): Promise<boolean> {
    const over = this.#over.signal;
    const since = monotonicNow();
    if (claim.waitTurn) await unlessAborted(claim.waitTurn(over), over);
    return monotonicNow() - since >= 1;
  }

  #rest(): Promise<void> {
    return pause(backoff(this.#failures++), { background: false, signal: this.#over.signal });
  }

  #hand(contender: Contender, grant: Grant): boolean {
    for (const waiter of this.#waiters) {
      if (waiter.take(() => this.#queue.hold(waiter.want, contender, grant))) return true;
    }
    return false;
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    for (const waiter of this.#waiters) this.#queue.contended(waiter);
    this.#suspicion.set(monotonicNow() + 2 * this.#terms.ttl);
  }

  /** The deadline of an attempt: after it, nobody here would want its success any more. */
  #ask(): number {
    const now = monotonicNow();
    this.#silentSince ??= now;
    this.#endPatience();
    return Math.min(this.#lastDeadline, now + this.#terms.backendTimeout);
  }

  #answered(): void {
    this.#silentSince = undefined;
    this.#trouble = undefined;
    this.#failures = 0;
    this.#patience.clear();
  }

  #ride(error: unknown): void {
    this.#trouble = error;
    if (!isRetryable(error)) this.#failAll(asLockError(error, this.#terms.key));
    else this.#queue.rode(this.#terms, error);
    this.#endPatience();
  }

  /** Ends every wait whose `backendTimeout` has passed without an answer, and comes back for the next one: they stand in the order of their age. */
  #endPatience(): void {
    if (this.#silentSince === undefined) return;
    const { key, backendTimeout } = this.#terms;
    for (const waiter of this.#waiters) {
      const due = Math.max(this.#silentSince, waiter.since) + backendTimeout;
      if (monotonicNow() < due) return this.#patience.set(due);
      const message = `the backend gave no answer about "${key}" for ${backendTimeout} ms`;
      waiter.fail(new LockBackendError(message, { key, cause: this.#trouble, retryable: true }));
    }
  }

  #suspect(): void {
    this.#suspicion.set(this.#queue.suspectSelf(this.#terms));
  }

  #failAll(error: unknown): void {
    for (const waiter of this.#waiters) waiter.fail(error);
  }
}
