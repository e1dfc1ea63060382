import { monotonicNow } from "./clock.js";

const longest = 2 ** 31 - 1;

/** One timer that fires at a monotonic time, never before it and at any distance, until it is set anew or cleared. */
export class Alarm {
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #ring: () => void;
  readonly #background: boolean;

  /** `background`: does not keep the process alive. */
  constructor(ring: () => void, options: { readonly background: boolean }) {
    this.#ring = ring;
    this.#background = options.background;
  }

  set(at: number): void {
    this.clear();
    if (at === Number.POSITIVE_INFINITY) return;
    const timer = setTimeout(
      () => {
        // Node's timers may fire a fraction of a millisecond early, and longer waits are made in steps.
        if (monotonicNow() < at) this.set(at);
        else this.#ring();
      },
      Math.min(longest, Math.max(0, Math.ceil(at - monotonicNow()))),
    );
    if (this.#background) timer.unref?.();
    this.#timer = timer;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
