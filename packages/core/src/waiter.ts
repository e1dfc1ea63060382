import { AsyncResource } from "node:async_hooks";
import { Alarm } from "./alarm.js";
import { monotonicNow } from "./clock.js";
import { asLockError, LockTimeoutError } from "./errors.js";
import type { HeldLock } from "./held-lock.js";
import { onAbort } from "./on-abort.js";
import type { Want } from "./want.js";

interface Settle {
  resolve(lock: HeldLock | undefined): void;
  reject(reason: unknown): void;
}

/** How a wait ended. */
export type Ending = "took" | "refused" | "failed";

/** One call that waits: ends at its deadline to a timer tick, at its signal at once, or with what the backend said. */
export class Waiter {
  readonly want: Want;
  readonly since: number = monotonicNow();
  /** Monotonic ms; a call with waitTimeout 0 lasts as long as its one try. */
  readonly deadline: number;
  /** `undefined`: not free, for a call that does not wait. */
  readonly outcome: Promise<HeldLock | undefined>;
  /** Called once, in the same step in which the outcome becomes certain. */
  left: (ending: Ending) => void = () => {};
  /** Whether it was reported as waiting. */
  contended = false;
  /** What goes wrong at present, for whoever reads the timeout. */
  trouble: () => unknown = () => undefined;
  /** What a hold does later, it does in the async context that asked for it. */
  readonly #context = new AsyncResource("LOCK_WAITER");
  readonly #alarm = new Alarm(() => this.timeOut(), { background: false });
  #settle: Settle | undefined;
  #stopListening: () => void = () => {};

  constructor(want: Want) {
    this.want = want;
    this.deadline = want.waitTimeout === 0 ? Number.POSITIVE_INFINITY : this.since + want.waitTimeout;
    this.outcome = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.#alarm.set(this.deadline);
    if (want.signal) this.#stopListening = onAbort(want.signal, () => this.fail(want.signal?.reason));
  }

  get waiting(): boolean {
    return this.#settle !== undefined;
  }

  /** false: it has gone, or its time is over although no timer had a chance to say so. */
  take(hold: () => HeldLock): boolean {
    if (this.waiting && monotonicNow() >= this.deadline) this.timeOut();
    if (!this.waiting) return false;
    try {
      const lock = this.#context.runInAsyncScope(hold);
      return this.#end("took", (settle) => settle.resolve(lock));
    } catch (error) {
      this.fail(asLockError(error, this.want.key));
      return false;
    }
  }

  refuse(): void {
    this.#end("refused", (settle) => settle.resolve(undefined));
  }

  fail(reason: unknown): void {
    this.#end("failed", (settle) => settle.reject(reason));
  }

  timeOut(): void {
    this.fail(new LockTimeoutError(this.want.key, this.want.waitTimeout, this.trouble()));
  }

  #end(ending: Ending, tell: (settle: Settle) => void): boolean {
    const settle = this.#settle;
    if (settle === undefined) return false;
    this.#settle = undefined;
    this.#alarm.clear();
    this.#stopListening();
    tell(settle);
    this.left(ending);
    return true;
  }
}
