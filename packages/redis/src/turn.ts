import { monotonicNow, type Signal } from "@dlock/core";

/** When one waiting claim has to ask again: at a time, or as soon as it is told to. */
export class Turn {
  #at = 0;
  #told = false;
  #stir: (() => void) | undefined;

  /** Before a claim asks: whatever is said from now on counts. */
  asking(): void {
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
    this.#stir?.();
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
        const delay = this.#told ? 0 : this.#at - monotonicNow();
        if (delay <= 0) end();
        else timer = setTimeout(end, Math.min(Math.ceil(delay), 2 ** 31 - 1));
      };
      if (signal.aborted) return end();
      signal.addEventListener("abort", end);
      this.#stir();
    });
  }
}
