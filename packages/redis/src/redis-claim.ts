import {
  backoff,
  type ClaimRequest,
  type FencingToken,
  type LeaseClaim,
  LockBackendError,
  LockConfigError,
  type LockError,
  monotonicNow,
  pause,
  settleBy,
  type Signal,
} from "@dlock/core";
import type { Deployment } from "./deployment.js";
import { failure } from "./failure.js";
import { heldKeys, keysOf, type LockKeys } from "./keys.js";
import { isOtherType, refusal } from "./refusal.js";
import { downgradeScript } from "./scripts/downgrade.js";
import { raiseScript } from "./scripts/raise.js";
import { releaseScript } from "./scripts/release.js";
import { renewScript } from "./scripts/renew.js";
import { foreign, otherLayout, rejoined, silent, unconfirmed } from "./scripts/try.js";
import { undoScript } from "./scripts/undo.js";
import { Turn } from "./turn.js";

/** ms after which a waiter asks again although nobody told it to, at most. */
const longestWait = 5_000;
/** ms that a renewal may take: one that arrives later would move the end of a long lease by as much. */
const longestRenewal = 10_000;
/** ms that calls without a deadline may take. */
const patience = 4_000;

/** ms by which the server's clock may be ahead of what is known of it: about a round trip. */
const clockDoubt = 250;

/** One contender for one lock. */
export class RedisClaim implements LeaseClaim {
  readonly waitTurn?: (signal: Signal) => Promise<void>;
  readonly #deployment: Deployment;
  readonly #request: ClaimRequest;
  readonly #keys: LockKeys;
  readonly #owner: string;
  readonly #turn = new Turn();
  /** µs of the server's clock at which it joined, once it did: its place, also when the line was lost. */
  #ticket = "";
  #cannotBeTold = false;
  /** Whether it holds alone, also when it is not known whether a downgrade took effect. */
  #alone: boolean;
  /** Attempts that may still take effect, or may have taken it. */
  #unanswered = 0;
  /** The token of a hold that was taken back, perhaps without an answer: it does not count any more. */
  #withdrawn = "";
  /** ms that the lease may last from the last request on, answered or not. */
  #lease: number;
  /** A request for a shorter lease that was not answered yet: until it cannot take effect any more, a longer one would prove nothing. */
  #shortened = { ttl: Number.POSITIVE_INFINITY, until: 0 };
  #asked = false;
  #released = false;
  /** Nothing of it is left at the server, nor on its way there. */
  #gone = false;

  constructor(deployment: Deployment, request: ClaimRequest, owner: string) {
    this.#deployment = deployment;
    this.#request = request;
    this.#owner = owner;
    this.#lease = request.ttl;
    this.#alone = request.mode === "exclusive" && request.limit === 1;
    this.#keys = keysOf(deployment.settings.namespace + request.key);
    if (deployment.settings.order === "fifo") this.waitTurn = (signal) => this.#turn.wait(signal);
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    if (this.#released) return undefined;
    return settleBy(
      () => this.#attempt(deadline),
      deadline,
      () => this.#error("did not answer in time"),
      { background: false },
    );
  }

  async renew(ttl: number): Promise<boolean> {
    if (ttl > this.#shortened.ttl) await pause(this.#shortened.until - monotonicNow(), { background: true });
    if (this.#released) return false;
    const { link } = this.#deployment;
    const now = monotonicNow();
    const deadline = now + Math.min(Math.max(ttl / 3, 5), longestRenewal);
    const keys = heldKeys(this.#keys, { alone: this.#alone });
    try {
      await link.ready(deadline);
      // Not too soon for a slow link; and a longer one, which may have to wait for that, must still find the lease.
      const shortens = this.#shorten(ttl, now + Math.min(ttl / 2, longestRenewal));
      const reply = await link.run(renewScript, keys, [this.#owner, ttl, shortens], deadline);
      if (reply === -1) throw this.#error("got the renewal after its deadline", { noEffect: true });
      if (shortens !== "") this.#settle(ttl);
      return reply === 1;
    } catch (error) {
      return this.#overwritten(error);
    }
  }

  /** Until when a request may shorten the lease, by the server's clock; "": it does not. */
  #shorten(ttl: number, deadline: number): string {
    if (ttl >= this.#lease) {
      this.#lease = ttl;
      return "";
    }
    this.#shortened = { ttl, until: deadline + clockDoubt };
    return this.#deployment.link.serverTime(this.#keys.slot, deadline);
  }

  /** One that shortens was answered. It says nothing about a still shorter one that was sent after it. */
  #settle(ttl: number): void {
    const { ttl: shortest, until } = this.#shortened;
    if (ttl > shortest && monotonicNow() < until) return;
    this.#lease = ttl;
    this.#shortened = { ttl: Number.POSITIVE_INFINITY, until: 0 };
  }

  async downgrade(): Promise<boolean> {
    if (this.#released) return false;
    this.#alone = false;
    const deadline = monotonicNow() + patience;
    try {
      return (await this.#deployment.link.run(downgradeScript, this.#keys, [this.#owner], deadline)) === 1;
    } catch (error) {
      return this.#overwritten(error);
    }
  }

  async raise(floor: FencingToken): Promise<boolean> {
    if (this.#released) return false;
    const args = [this.#owner, String(floor)];
    try {
      return (await this.#deployment.link.run(raiseScript, this.#keys, args, monotonicNow() + patience)) === 1;
    } catch (error) {
      return this.#overwritten(error);
    }
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#deployment.channel.leave(this.#owner, this.#keys);
    this.#turn.now();
    if (!this.#asked || this.#gone) return;
    const before = this.#unanswered;
    await this.#run(releaseScript, [this.#owner]);
    this.#gone ||= before === 0 && this.#unanswered === 0;
  }

  async #attempt(deadline: number): Promise<FencingToken | undefined> {
    this.#asked = true;
    this.#unanswered++;
    let token: FencingToken | undefined;
    try {
      token = await this.#ask(deadline);
    } catch (error) {
      const trouble = this.#failure(error);
      if (trouble instanceof LockConfigError) this.#unanswered--;
      if (trouble instanceof LockBackendError && trouble.noEffect) this.#unanswered--;
      throw trouble;
    }
    this.#unanswered--;
    if (!this.#released) return token;
    // The release may have overtaken it.
    void this.#undo();
    return undefined;
  }

  async #ask(deadline: number): Promise<FencingToken | undefined> {
    const { link, channel } = this.#deployment;
    const { order } = this.#deployment.settings;
    for (let late = 0; late < 3;) {
      await link.ready(deadline);
      if (this.#released) return undefined;
      const joins = this.#request.join && (order === "none" || channel.settled);
      const mode = joins ? (order === "none" ? "barge" : "join") : "once";
      if (mode === "join") channel.watch(this.#owner, this.#keys, this.#turn);
      const unheard = this.#ticket !== "" && !this.#turn.told;
      this.#cannotBeTold = order === "none" || channel.denied;
      this.#turn.asking();
      const askedAt = monotonicNow();
      const by = link.serverTime(this.#keys.slot, deadline);
      const args = [this.#owner, this.#request.ttl, by, mode, this.#ticket, this.#cannotBeTold ? "1" : "0"];
      const reply = await this.#deployment.acquire(this.#keys, args, deadline);
      if (typeof reply.answer === "string") {
        if (!reply.acknowledged || reply.answer === this.#withdrawn) await this.#withdraw(reply.answer);
        return BigInt(reply.answer);
      }
      const [now, pttl, rank, ticket, flags] = (reply.answer as unknown[]).map(Number);
      link.clockOf(this.#keys.slot).learn(now ?? 0, askedAt);
      if (this.#released) return undefined;
      if (pttl === undefined || rank === undefined || flags === undefined) {
        if (monotonicNow() >= deadline) break;
        late++;
      } else if (this.#request.join && order === "fifo" && mode === "once") {
        await channel.open();
      } else {
        if (rank >= 0) this.#ticket = String(ticket);
        if (unheard && flags & rejoined) channel.doubt();
        this.#plan(pttl, rank, flags);
        return undefined;
      }
    }
    throw this.#error("got the request after its deadline", { noEffect: true });
  }

  /** When to ask again if nobody says so. */
  #plan(pttl: number, rank: number, flags: number): void {
    if (flags & otherLayout) {
      const message =
        "a lock is held by a version of dlock with another layout: it is excluded, but waits in a line of its own";
      this.#deployment.notice("OTHER_LAYOUT", message, this.#request.key);
    }
    const expiry = pttl >= 0 ? pttl + 1 : longestWait;
    const cap = longestWait * (0.5 + Math.random() / 2);
    if (pttl === -2) this.#turn.in(20 + Math.random() * 20);
    else if (flags & silent) this.#turn.in(Math.min(1_000, 20 * (rank + 1)) * (1 + Math.random()));
    else if (flags & foreign && rank === 0) this.#turn.in(20 + Math.random() * 20);
    else if (flags & unconfirmed || rank === 0) this.#turn.in(Math.min(expiry, cap));
    else this.#turn.in(rank < 0 ? 50 + Math.random() * 50 : cap);
  }

  /** Too few replicas have the hold: it does not count. */
  async #withdraw(token: string): Promise<never> {
    this.#withdrawn = token;
    await this.#run(undoScript, [this.#owner, this.#ticket, this.#cannotBeTold ? "1" : "0", token]);
    throw this.#error(
      `has fewer than ${this.#deployment.settings.replicas} replicas that acknowledged the hold in time`,
    );
  }

  async #undo(): Promise<void> {
    for (let failures = 0; failures < 5 && !this.#gone; failures++) {
      try {
        return await this.release();
      } catch {
        await pause(backoff(failures), { background: true });
      }
    }
  }

  async #run(script: typeof releaseScript, args: readonly string[]): Promise<void> {
    try {
      await this.#deployment.link.run(script, this.#keys, args, monotonicNow() + patience);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): LockError {
    return refusal(error, this.#keys, this.#request) ?? failure(error, this.#request.key);
  }

  /** false: something else has the lock's name, so the hold is gone. Throws whatever else it is. */
  #overwritten(error: unknown): false {
    if (isOtherType(error)) return false;
    throw this.#failure(error);
  }

  #error(what: string, { noEffect = false } = {}): LockBackendError {
    const { key } = this.#request;
    return new LockBackendError(`redis ${what} about "${key}"`, { key, retryable: true, noEffect });
  }
}
