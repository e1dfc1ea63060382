import { HeldLock } from "./held-lock.js";
import type { Hold } from "./hold.js";
import type { Waiter } from "./waiter.js";

/** What runs inside of one section on its hold: one after the other, first come first served; readers side by side. */
export class Inside {
  readonly hold: Hold;
  readonly #waiters = new Set<Waiter>();
  #busy = false;
  #watched = false;

  constructor(hold: Hold) {
    this.hold = hold;
  }

  /** Waits for those before it, unless it has no time for that. */
  join(waiter: Waiter): void {
    if (this.#open) return this.#admit(waiter);
    this.hold.queue.contended(waiter);
    if (waiter.want.waitTimeout === 0) return waiter.timeOut();
    if (!this.#watched) void this.hold.over.then(() => this.#failAll());
    this.#watched = true;
    this.#waiters.add(waiter);
    waiter.left = () => this.#waiters.delete(waiter);
  }

  /** Refuses it when somebody else is in. */
  try(waiter: Waiter): void {
    if (this.#open) return this.#admit(waiter);
    this.hold.queue.contended(waiter);
    waiter.refuse();
  }

  get #open(): boolean {
    return !this.#busy || this.hold.mode === "shared";
  }

  #admit(waiter: Waiter): void {
    waiter.take(() => {
      this.#busy = true;
      return new HeldLock(this.hold, () => this.#next());
    });
  }

  #next(): void {
    this.#busy = false;
    if (this.hold.ended) return this.#failAll();
    for (const waiter of this.#waiters) {
      this.#admit(waiter);
      if (!this.#open) return;
    }
  }

  /** A hold that others wait to use is kept by the section they wait in: it ends before its time only when it is lost. */
  #failAll(): void {
    for (const waiter of this.#waiters) waiter.fail(this.hold.loss());
  }
}
