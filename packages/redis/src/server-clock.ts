import { monotonicNow } from "@dlock/core";

/** What a server's clock shows, as far as this process can know: never later than it really shows. */
export class ServerClock {
  /** µs */
  #offset: number | undefined;

  get known(): boolean {
    return this.#offset !== undefined;
  }

  /** µs by which the server is ahead of this process's monotonic clock, at least. */
  get offset(): number {
    return this.#offset ?? 0;
  }

  /** The server showed `micros` at some time after `askedAt` (monotonic ms) and before now. */
  learn(micros: number, askedAt: number): void {
    const least = micros - monotonicNow() * 1_000;
    const most = micros - askedAt * 1_000;
    // Below what was known: the clock was set back, or another server answers.
    this.#offset = this.#offset === undefined || most < this.#offset ? least : Math.max(this.#offset, least);
  }
}
