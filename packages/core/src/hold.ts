import { monotonicNow } from "./clock.js";
import type { Contender, Grant, Retirement } from "./contender.js";
import { asLockError, LockConfigError, type LockLostError } from "./errors.js";
import type { AboutHold, LockEvents } from "./events.js";
import { notLeased } from "./guarantees.js";
import type { FencingToken, LockMode } from "./provider.js";
import type { Queue } from "./queue.js";
import type { Signal } from "./signal.js";
import { within } from "./settle.js";
import { Tenure } from "./tenure.js";
import { about, type Want } from "./want.js";

/** One hold, from the grant to the end of its last section, with what it reports. */
export class Hold {
  readonly key: string;
  readonly owner: string;
  readonly fencingToken: FencingToken;
  readonly queue: Queue;
  /** Resolves when it has ended, either way. */
  readonly over: Promise<void>;
  #want: Want;
  readonly #contender: Contender;
  readonly #since: number;
  readonly #tenure: Tenure;
  #end: () => void = () => {};
  /** Who relies on it: the lock that was asked for, and those that re-entered. */
  #shares = 0;
  /** Monotonic ms up to which it is left at the backend, as far as was asked for yet. */
  #leftUntil = Number.NEGATIVE_INFINITY;
  /** Or shared from the start. Without an answer it is shared, and may be exclusive still. */
  #downgraded: boolean;

  constructor(queue: Queue, want: Want, contender: Contender, grant: Grant) {
    this.queue = queue;
    this.key = want.key;
    this.owner = want.owner;
    this.fencingToken = grant.token;
    this.#want = want;
    this.#downgraded = want.mode === "shared";
    this.#contender = contender;
    this.#since = grant.asked.at;
    this.over = new Promise((resolve) => (this.#end = resolve));
    const { asked, doubtfulUntil } = grant;
    this.#tenure = new Tenure(
      contender.claim,
      asked,
      { ...want, doubtfulUntil },
      {
        renewed: (took) => this.#emit("renewed", { took }),
        renewFailed: (error, remaining) => this.#emit("renewFailed", { error, remaining }),
        lost: (reason) => this.#lost(reason),
      },
    );
  }

  get mode(): LockMode {
    return this.#want.mode;
  }

  get ttl(): number {
    return this.#tenure.ttl;
  }

  get signal(): Signal {
    return this.#tenure.signal;
  }

  /** ms since it was asked for. */
  get heldFor(): number {
    return monotonicNow() - this.#since;
  }

  /** Given up, or known to be lost. */
  get ended(): boolean {
    return this.#tenure.ended;
  }

  loss(): LockLostError | undefined {
    return this.#tenure.loss();
  }

  throwIfLost(margin: number): void {
    this.#tenure.throwIfLost(margin);
  }

  extend(ttl?: number): Promise<void> {
    return this.#tenure.extend(ttl);
  }

  async downgrade(): Promise<void> {
    if (this.#downgraded) return;
    const { claim } = this.#contender;
    const { key, mode, limit } = this.#want;
    const downgrade = claim.downgrade?.bind(claim);
    if (downgrade === undefined || limit !== 1) {
      throw new LockConfigError(
        "downgrade",
        mode,
        "a lock without a limit, of a backend that turns an exclusive one into a shared one in one step",
        key,
      );
    }
    await this.#tenure.change(async () => {
      if (this.#shares > 1) {
        throw new LockConfigError("downgrade", mode, "a hold that nobody else shares, who counts on being alone", key);
      }
      // It may take effect without an answer.
      this.#want = { ...this.#want, mode: "shared" };
      if (!(await downgrade())) this.#tenure.lose("was ended by the backend");
      this.#downgraded = true;
    });
  }

  /** Throws for whoever would share the hold on other terms: the limit says how many others there are. */
  checkLimit({ limit }: Pick<Want, "limit">): void {
    const used = this.#want.limit;
    if (used !== limit)
      throw new LockConfigError("limit", limit, `${used}, which the section around it uses`, this.key);
  }

  enter(): void {
    this.#shares += 1;
  }

  /**
   * Given up with the last share, and left at the backend to end by itself at the latest `end` (monotonic ms) that any share asked for.
   * false: it was lost, or that could not be confirmed.
   */
  async leave(end: number = Number.NEGATIVE_INFINITY): Promise<boolean> {
    this.#leftUntil = Math.max(this.#leftUntil, end);
    this.#shares -= 1;
    if (this.#shares > 0) return this.loss() === undefined;
    return this.#leftUntil > monotonicNow() ? this.#expire(this.#leftUntil) : this.#release();
  }

  /** Throws for whoever needs a hold that outlives its process. */
  checkAlive(alive: Want["alive"]): void {
    if (alive === undefined || this.#tenure.leased) return;
    throw notLeased(this.queue.provider.guarantees, this.key);
  }

  /** Ends it as lost, because the locks were closed. */
  cutOff(): void {
    this.#tenure.lose("was ended by close()");
  }

  async #release(): Promise<boolean> {
    if (this.loss() !== undefined) return false;
    return this.#ended(this.#contender.retire(this.#giveUp(), { background: false }));
  }

  async #expire(end: number): Promise<boolean> {
    if (this.loss() !== undefined) return false;
    const until = this.#giveUp();
    // A renewal that takes effect after this would lengthen the lease again.
    await within(until - monotonicNow(), this.#tenure.unanswered);
    const { unanswered } = this.#tenure;
    const ended = await this.#ended(this.#contender.expire(end, until, { unanswered }), end);
    // If anything made it longer after all, and for what this process keeps of the claim.
    const drift = (end - monotonicNow()) / 100 + 2;
    this.queue.retireAt(end + drift, this.#contender, this.#want.backendTimeout);
    return ended;
  }

  /** From here on its end is no loss. Returns until when (monotonic ms) the backend has to confirm it. */
  #giveUp(): number {
    const { deadline } = this.#tenure;
    this.#tenure.giveUp();
    return Math.min(deadline, monotonicNow() + this.#want.backendTimeout);
  }

  /** `end`: monotonic ms at which it ends at the backend, where that is not at once. */
  async #ended({ confirmed, undone }: Retirement, end?: number): Promise<boolean> {
    this.queue.finish(undone);
    const error = await confirmed;
    this.#end();
    const { heldFor } = this;
    const rest = end === undefined ? {} : { expiresIn: Math.max(0, end - monotonicNow()) };
    if (error === undefined) this.#emit("released", { heldFor, ...rest });
    else this.#emit("releaseFailed", { heldFor, error: asLockError(error, this.key) });
    return error === undefined;
  }

  #emit<Name extends "renewed" | "renewFailed" | "lost" | "released" | "releaseFailed">(
    name: Name,
    more: Omit<LockEvents[Name], keyof AboutHold>,
  ): void {
    const { fencingToken } = this;
    this.queue.emitter.emit(name, { ...about(this.#want), fencingToken, ...more } as LockEvents[Name]);
  }

  #lost(reason: LockLostError): void {
    this.#end();
    this.#emit("lost", { heldFor: this.heldFor, reason });
    // Harmless to whoever holds it now, and nothing of a hold that only may have ended is left behind.
    this.queue.retire(this.#contender, this.#want.backendTimeout);
  }
}
