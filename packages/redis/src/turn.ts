import { monotonicNow, type Signal } from "@dlock/core";

/** ms between two requests that messages cause, at most, however many come. */
const longestGap = 100;
/** ms after which the last message is forgotten: the next one is followed at once. */
const quiet = 1_000;

/** When one waiting claim has to ask again: at a time, or as soon as it is told to. */
export class Turn {
  #at = 0;
  #told = false;
  /** Whether a message came since the claim asked last. */
  #heard = false;
  /** ms for which messages wait after a request that one of them caused. */
  #gap = 0;
  #heedAt = 0;
  #stir: (() => void) | undefined;

  /** Before a claim asks: whatever is said from now on counts. */
  asking(): void {
    if (this.#heard) this.#space();
    this.#heard = false;
    this.#told = false;
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** Whether somebody said to ask again. */
  get told(): boolean {
    return this.#told;
  }

  /** In so many ms, unless it is to be sooner. */
  in(delay: number): void {
    this.#at = Math.min(this.#at, monotonicNow() + delay);
    this.#stir?.();
  }

  now(): void {
    this.#told = true;
    this.in(0);
  }

  /** A message says to ask again in so many ms. It may be junk: the more of them led to nothing, the longer they wait. */
  hear(delay: number): void {
    this.#heard = true;
    if (delay === 0) this.#told = true;
    this.in(Math.max(delay, this.#heedAt - monotonicNow()));
  }

  /** Resolves when it is time to ask again, or when the signal aborts. */
  wait(signal: Signal): Promise<void> {
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        this.#stir = undefined;
        resolve();
      };
      this.#stir = () => {
        clearTimeout(timer);
        const delay = this.#at - monotonicNow();
        if (delay <= 0) end();
        else timer = setTimeout(end, Math.min(Math.ceil(delay), 2 ** 31 - 1));
      };
      if (signal.aborted) return end();
      signal.addEventListener("abort", end);
      this.#stir();
    });
  }

  #space(): void {
    const now = monotonicNow();
    this.#gap = now - this.#heedAt > quiet ? 1 : Math.min(2 * this.#gap, longestGap);
    this.#heedAt = now + this.#gap;
  }
}
