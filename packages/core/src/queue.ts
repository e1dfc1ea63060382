import { AsyncResource } from "node:async_hooks";
import { Alarm } from "./alarm.js";
import { monotonicNow } from "./clock.js";
import { Contender, type Grant } from "./contender.js";
import type { Emitter } from "./emitter.js";
import { LockClosedError, LockTimeoutError } from "./errors.js";
import { notLeased } from "./guarantees.js";
import { HeldLock } from "./held-lock.js";
import { Hold } from "./hold.js";
import type { Inside } from "./inside.js";
import { Line } from "./line.js";
import type { LockProvider } from "./provider.js";
import { within } from "./settle.js";
import { tryOnce } from "./single-try.js";
import { isLease } from "./tenure.js";
import { Waiter } from "./waiter.js";
import { about, type Want } from "./want.js";

/** This process's dealings with one provider: who waits, who holds, what has yet to come to its end. */
export class Queue {
  readonly provider: LockProvider;
  readonly emitter: Emitter;
  readonly #lines = new Map<string, Line>();
  readonly #waiters = new Set<Waiter>();
  readonly #holds = new Map<string, Set<Hold>>();
  readonly #endings = new Set<Alarm>();
  readonly #unfinished = new Set<Promise<void>>();
  readonly #outside = new AsyncResource("LOCK_QUEUE");
  #closed = false;

  constructor(provider: LockProvider, emitter: Emitter) {
    this.provider = provider;
    this.emitter = emitter;
  }

  /** Waits in line, unless the want has no time for it. */
  async acquire(want: Want): Promise<HeldLock> {
    const lock = await this.#serve(want, (waiter) => {
      if (want.waitTimeout > 0) this.#join(waiter);
      else void tryOnce(this, waiter, () => waiter.timeOut());
    });
    if (lock === undefined) throw new Error("unreachable: only a single try is refused");
    return lock;
  }

  /** One try that leaves no place in line. */
  tryAcquire(want: Want): Promise<HeldLock | undefined> {
    return this.#serve(want, (waiter) => void tryOnce(this, waiter, () => waiter.refuse()));
  }

  /** A share in the hold of the section that the call comes from. */
  async reenter(want: Want, inside: Inside): Promise<HeldLock> {
    const lock = await this.#serve(want, (waiter) => inside.join(waiter));
    if (lock === undefined) throw new Error("unreachable: only a single try is refused");
    return lock;
  }

  tryReenter(want: Want, inside: Inside): Promise<HeldLock | undefined> {
    return this.#serve(want, (waiter) => inside.try(waiter));
  }

  checkOpen(key?: string): void {
    if (this.#closed) throw new LockClosedError(key);
  }

  /** Ends every wait, gives the holds `grace` ms, cuts off what remains; waits up to `patience` ms for what is being undone. */
  async close(grace: number, patience: number): Promise<void> {
    this.#closed = true;
    for (const alarm of this.#endings) alarm.clear();
    for (const waiter of this.#waiters) waiter.fail(new LockClosedError(waiter.want.key));
    await within(
      grace,
      this.#held().map((hold) => hold.over),
    );
    for (const hold of this.#held()) hold.cutOff();
    // What a silent backend does not confirm ends by its ttl.
    for (const end = monotonicNow() + patience; this.#unfinished.size > 0 && monotonicNow() < end;) {
      await within(end - monotonicNow(), [...this.#unfinished]);
    }
  }

  /** A new claim for the want. Throws what the provider says to a request it cannot serve. */
  contender(want: Want, { join }: { readonly join: boolean }): Contender {
    const { key, owner, ttl, mode, limit, alive } = want;
    const claim = this.provider.claim({ key, id: crypto.randomUUID(), owner, ttl, mode, limit, join });
    // A claim that was only made has had no effect.
    if (alive !== undefined && !isLease(claim)) throw notLeased(this.provider.guarantees, key);
    return new Contender(claim, want);
  }

  hold(want: Want, contender: Contender, grant: Grant): HeldLock {
    const hold = new Hold(this, want, contender, grant);
    const holds = this.#holds.get(want.key) ?? new Set();
    this.#holds.set(want.key, holds.add(hold));
    void hold.over.then(() => {
      holds.delete(hold);
      if (holds.size === 0 && this.#holds.get(want.key) === holds) this.#holds.delete(want.key);
    });
    return new HeldLock(hold);
  }

  /** Gives the claim up in the background. */
  retire(contender: Contender, patience: number): void {
    this.finish(contender.retire(monotonicNow() + patience, { background: true }).undone);
  }

  /** Gives the claim up at `at` (monotonic ms), for which nothing waits: a claim that ends by itself anyway. */
  retireAt(at: number, contender: Contender, patience: number): void {
    if (this.#closed) return;
    const alarm = new Alarm(
      () => {
        this.#endings.delete(alarm);
        this.retire(contender, patience);
      },
      { background: true },
    );
    this.#endings.add(alarm);
    alarm.set(at);
  }

  /** Remembers for `close` what has to come to its end; none of it rejects. */
  finish(ending: Promise<void>): void {
    this.#unfinished.add(ending);
    void ending.then(() => this.#unfinished.delete(ending));
  }

  contended(waiter: Waiter): void {
    if (waiter.contended) return;
    waiter.contended = true;
    this.emitter.emit("contended", about(waiter.want));
  }

  rode(want: Want, error: unknown): void {
    this.emitter.emit("backendFailed", { ...about(want), error });
  }

  /**
   * A wait of two ttl for a lock that one section of this process has held all the while is likely a wait for itself.
   * Returns when (monotonic ms) to look again.
   */
  suspectSelf({ key, ttl }: Want): number {
    let next = Number.POSITIVE_INFINITY;
    for (const hold of this.#holds.get(key) ?? []) {
      if (hold.heldFor < 2 * ttl) {
        next = Math.min(next, monotonicNow() + 2 * ttl - hold.heldFor);
        continue;
      }
      const message = `"${key}" was waited for for ${2 * ttl} ms while "${hold.owner}" in this very process held it`;
      this.emitter.emit("warning", { code: "SELF_DEADLOCK", message: `${message}: does it wait for itself?`, key });
    }
    return next;
  }

  async #serve(want: Want, start: (waiter: Waiter) => void): Promise<HeldLock | undefined> {
    this.checkOpen(want.key);
    const waiter = new Waiter(want);
    this.#waiters.add(waiter);
    try {
      if (waiter.waiting) start(waiter);
      const lock = await waiter.outcome;
      const waited = monotonicNow() - waiter.since;
      if (lock) this.emitter.emit("acquired", { ...about(want), fencingToken: lock.fencingToken, waited });
      return lock;
    } catch (reason) {
      // Made in a timer: here the stack names the caller.
      if (reason instanceof LockTimeoutError && reason !== want.signal?.reason) Error.captureStackTrace(reason);
      this.emitter.emit("abandoned", { ...about(want), waited: monotonicNow() - waiter.since, reason });
      throw reason;
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #join(waiter: Waiter): void {
    const { key, mode, limit, ttl, owner, backendTimeout, alive } = waiter.want;
    const name = JSON.stringify([key, mode, limit, ttl, owner, backendTimeout, alive]);
    const line = this.#lines.get(name);
    if (line !== undefined) return line.join(waiter);
    const first = new Line(this, waiter.want);
    this.#lines.set(name, first);
    first.join(waiter);
    // In a context of its own: the line outlives the call that opened it, and serves others.
    this.#outside.runInAsyncScope(() => this.finish(first.serve(() => this.#lines.delete(name))));
  }

  #held(): Hold[] {
    return [...this.#holds.values()].flatMap((holds) => [...holds]);
  }
}
