import { monotonicNow } from "@dlock/core";

/** What a server's clock shows, as far as this process can know: never later than it really shows. */
export class ServerClock {
  /** µs by which the server is ahead of this process's monotonic clock, at least. */
  #offset = 0;

  /** Server time in µs, at a monotonic time in ms. */
  at(time: number): number {
    return Math.floor(time * 1_000 + this.#offset);
  }

  /** The server showed `micros` at some time after `askedAt` (monotonic ms) and before now. */
  learn(micros: number, askedAt: number): void {
    const [least, most] = [micros - monotonicNow() * 1_000, micros - askedAt * 1_000];
    // Below what was known: the clock was set back, or another server answers.
    this.#offset = most < this.#offset ? least : Math.max(this.#offset, least);
  }
}
