import type { Signal } from "@dlock/core";

/** When one waiting claim has to ask again: as soon as it is told to. */
export class Turn {
  #told = false;
  #stir: () => void = () => {};

  /** Before a claim asks: whatever is said from now on counts. */
  asking(): void {
    this.#told = false;
  }

  now(): void {
    this.#told = true;
    this.#stir();
  }

  /** Resolves when it is time to ask again, or when the signal aborts. */
  wait(signal: Signal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#told || signal.aborted) return resolve();
      const end = () => {
        signal.removeEventListener("abort", end);
        this.#stir = () => {};
        resolve();
      };
      signal.addEventListener("abort", end);
      this.#stir = end;
    });
  }
}
