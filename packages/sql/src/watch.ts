import { monotonicNow, pause, type Signal } from "@dlock/core";

export interface Pace {
  /** ms between two looks at a lease that lasts: at first, and after a while. */
  readonly shortest: number;
  readonly longest: number;
}

/** What there is to see of some keys; what is left out is free. */
export type Look<Seen = number> = (keys: readonly string[], until: number) => Promise<ReadonlyMap<string, Seen>>;

interface Wait<Seen> {
  readonly key: string;
  /** ms. */
  left(seen: Seen): number;
  /** Monotonic ms of the next look. */
  due: number;
  pause: number;
  /** Whether a look found the lease held. */
  held: boolean;
  end(error?: unknown): void;
}

const most = 512;
/** ms: looks that are due so soon after one another are one. */
const together = 5;
const patience = 1_000;

/** The waits of this process for leases to end: one look for all that are due, one at a time, with jitter, at the latest when a lease ends. */
export class Watch<Seen = number> {
  readonly #look: Look<Seen>;
  readonly #waits = new Set<Wait<Seen>>();
  #pace: Pace;
  #stir = new AbortController();
  #running = false;

  constructor(look: Look<Seen>, pace: Pace) {
    this.#look = look;
    this.#pace = pace;
  }

  /**
   * Until nothing is `left` of what is seen of the key, or the signal aborts. Whether it had to be waited for. Rejects when
   * looking fails.
   */
  wait(key: string, signal: Signal, left: (seen: Seen) => number = Number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const abort = (): void => wait.end();
      const wait: Wait<Seen> = {
        key,
        left,
        due: monotonicNow(),
        pause: this.#pace.shortest,
        held: false,
        end: (error) => {
          this.#waits.delete(wait);
          signal.removeEventListener("abort", abort);
          // The last one leaves nothing that keeps the process alive.
          if (this.#waits.size === 0) this.#stir.abort();
          if (error === undefined) resolve(wait.held);
          else reject(error);
        },
      };
      if (signal.aborted) return resolve(false);
      signal.addEventListener("abort", abort);
      this.#waits.add(wait);
      this.#stir.abort();
      void this.#run();
    });
  }

  /** Somebody gave up the lease of the key, or, without a key, of any. */
  wake(key?: string): void {
    for (const wait of this.#waits) if (key === undefined || wait.key === key) wait.due = 0;
    this.#stir.abort();
  }

  /** From now on, after a look at once. */
  set pace(pace: Pace) {
    this.#pace = pace;
    for (const wait of this.#waits) wait.pause = pace.shortest;
    this.wake();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waits.size > 0) {
      this.#stir = new AbortController();
      const delay = Math.min(...[...this.#waits].map(({ due }) => due)) - monotonicNow();
      if (delay > 0) await pause(delay, { signal: this.#stir.signal, background: false });
      else await this.#ask();
    }
    this.#running = false;
  }

  async #ask(): Promise<void> {
    const soon = monotonicNow() + together;
    const keys = new Set<string>();
    const due = [...this.#waits].filter((wait) => wait.due <= soon && keys.size < most && keys.add(wait.key));
    // Who wakes it while it is being looked at wants another look.
    for (const wait of due) wait.due = Number.POSITIVE_INFINITY;
    try {
      const leases = await this.#look([...keys], monotonicNow() + patience);
      for (const wait of due) this.#tell(wait, leases.get(wait.key));
    } catch (error) {
      for (const wait of due) wait.end(error);
    }
  }

  #tell(wait: Wait<Seen>, seen: Seen | undefined): void {
    const remaining = seen === undefined ? 0 : wait.left(seen);
    if (remaining <= 0) return wait.end();
    wait.held = true;
    const next = monotonicNow() + Math.min(remaining, wait.pause * (0.5 + Math.random() / 2));
    wait.due = Math.min(wait.due, next);
    wait.pause = Math.min(wait.pause * 1.5, this.#pace.longest);
  }
}
