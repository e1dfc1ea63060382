import { monotonicNow } from "./clock.js";
import type { Contender, Grant } from "./contender.js";
import { asLockError, LockConfigError, type LockLostError } from "./errors.js";
import type { AboutHold, LockEvents } from "./events.js";
import type { FencingToken, LockMode } from "./provider.js";
import type { Queue } from "./queue.js";
import type { Signal } from "./signal.js";
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
    this.#tenure = new Tenure(contender.claim, grant.asked, want, {
      renewed: (took) => this.#emit("renewed", { took }),
      renewFailed: (error, remaining) => this.#emit("renewFailed", { error, remaining }),
      lost: (reason) => this.#lost(reason),
    });
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

  /** Given up with the last share. false: it was lost, or its end could not be confirmed. */
  async leave(): Promise<boolean> {
    this.#shares -= 1;
    return this.#shares > 0 ? this.loss() === undefined : this.#release();
  }

  /** Ends it as lost, because the locks were closed. */
  cutOff(): void {
    this.#tenure.lose("was ended by close()");
  }

  async #release(): Promise<boolean> {
    if (this.loss() !== undefined) return false;
    const { deadline } = this.#tenure;
    this.#tenure.giveUp();
    const until = Math.min(deadline, monotonicNow() + this.#want.backendTimeout);
    const { confirmed, undone } = this.#contender.retire(until, { background: false });
    this.queue.finish(undone);
    const error = await confirmed;
    this.#end();
    const { heldFor } = this;
    if (error === undefined) this.#emit("released", { heldFor });
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
