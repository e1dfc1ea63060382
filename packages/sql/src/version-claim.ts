import { type ClaimRequest, type FencingToken, type LeaseClaim, monotonicNow, pause, type Signal } from "@dlock/core";
import type { LeaseTable } from "./lease-table.js";

const shortestPause = 5;
const longestPause = 50;
/** ms that calls without a deadline wait for a busy database before they reject; core calls again. */
const patience = 1_000;

/** One contender of the `version` strategy: a lease is a row that compares and bumps its version in one statement. */
export class VersionClaim implements LeaseClaim {
  readonly #table: LeaseTable;
  readonly #request: ClaimRequest;
  readonly #over = new AbortController();
  /** Whether a row may be ours. */
  #mayHold = false;

  constructor(table: LeaseTable, request: ClaimRequest) {
    this.#table = table;
    this.#request = request;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    const { signal } = this.#over;
    if (signal.aborted) return undefined;
    this.#mayHold = true;
    try {
      const token = await this.#table.take(this.#request, { until: deadline, signal });
      this.#mayHold = token !== undefined;
      return signal.aborted ? undefined : token;
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  /** Reads, which in WAL mode disturbs no writer, until the lease is given up or ends. */
  async waitTurn(signal: Signal): Promise<void> {
    for (let ceiling = shortestPause; !signal.aborted; ceiling = Math.min(ceiling * 1.5, longestPause)) {
      const remaining = await this.#remaining(signal);
      if (remaining <= 0) return;
      await pause(Math.min(remaining, ceiling * (0.5 + Math.random() / 2)), { signal, background: false });
    }
  }

  async #remaining(signal: Signal): Promise<number> {
    try {
      return await this.#table.remaining(this.#request.key, { until: monotonicNow() + patience, signal });
    } catch (error) {
      if (signal.aborted) return 0;
      throw error;
    }
  }

  async renew(ttl: number): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    const until = monotonicNow() + Math.max(ttl / 3, 5);
    return this.#table.renew(this.#request, ttl, { until, signal: this.#over.signal });
  }

  async release(): Promise<void> {
    // An attempt under way has taken effect by now or never will: no statement runs once this is aborted.
    this.#over.abort();
    if (!this.#mayHold) return;
    await this.#table.giveUp(this.#request, { until: monotonicNow() + patience });
    this.#mayHold = false;
  }
}
