import {
  backoff,
  type ClaimRequest,
  type FencingToken,
  hadNoEffect,
  type LeaseClaim,
  monotonicNow,
  pause,
  type Signal,
} from "@dlock/core";
import type { LeaseTable } from "./lease-table.js";
import type { Watch } from "./watch.js";

/** ms that a call without a deadline waits for the database before it rejects; core calls again. */
const patience = 1_000;
const longestPause = 100;

/** One contender of the `version` strategy: a lease is a row that compares and bumps its version in one statement. */
export class VersionClaim implements LeaseClaim {
  readonly #table: LeaseTable;
  readonly #watch: Watch;
  readonly #request: ClaimRequest;
  readonly #over = new AbortController();
  #attempts: Promise<unknown> = Promise.resolve();
  /** Whether the row may be ours. */
  #mayHold = false;
  /** Whether there was an attempt that nobody knows the end of: core has us release once more when it can take effect no more. */
  #inDoubt = false;
  /** Of the last hold. */
  #token: FencingToken | undefined;
  readonly #floors = new Set<FencingToken>();
  /** Free by the look of it and yet not to be had, so many times in a row. */
  #races = 0;

  constructor(table: LeaseTable, watch: Watch, request: ClaimRequest) {
    this.#table = table;
    this.#watch = watch;
    this.#request = request;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    const { signal } = this.#over;
    if (signal.aborted) return undefined;
    this.#mayHold = true;
    const attempt = this.#table.take(this.#request, { until: deadline, signal });
    this.#attempts = Promise.allSettled([this.#attempts, attempt]);
    try {
      const token = this.#tokenOf(await attempt);
      this.#mayHold = token !== undefined;
      return signal.aborted ? undefined : token;
    } catch (error) {
      this.#inDoubt ||= !hadNoEffect(error);
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  async waitTurn(signal: Signal): Promise<void> {
    // A transaction may keep the row of a free lease locked.
    if (this.#races > 0) await pause(backoff(this.#races, longestPause), { signal, background: false });
    const held = await this.#watch.wait(this.#table.stored(this.#request.key), signal);
    this.#races = held ? 0 : this.#races + 1;
  }

  async renew(ttl: number): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    const until = monotonicNow() + Math.max(ttl / 3, 5);
    return this.#table.renew(this.#request, ttl, { until, signal: this.#over.signal });
  }

  async raise(floor: FencingToken): Promise<boolean> {
    if (this.#over.signal.aborted || this.#token === undefined) return false;
    this.#floors.add(floor);
    const { signal } = this.#over;
    const raised = await this.#table.raise(this.#request, floor, { until: monotonicNow() + patience, signal });
    if (!raised) this.#floors.delete(floor);
    return raised;
  }

  async release(): Promise<void> {
    // No statement is sent from now on; one that is on its way is not to be overtaken.
    this.#over.abort();
    await this.#attempts;
    if (!this.#mayHold && !this.#inDoubt) return;
    await this.#table.giveUp(this.#request, { until: monotonicNow() + patience });
    this.#mayHold = false;
  }

  /** The row of a hold that was raised has a floor for its version; that of another hold has a larger one. */
  #tokenOf(version: FencingToken | undefined): FencingToken | undefined {
    if (version === this.#token) return version;
    if (version === undefined || !this.#floors.has(version)) {
      this.#floors.clear();
      this.#token = version;
    }
    return this.#token;
  }
}
