import { monotonicNow } from "@dlock/core";
import type { Claim, FencingToken, SessionClaim, Signal } from "@dlock/core";

/** A claim that keeps itself alive by heartbeats while its process lives, over a server that knows leases only. */
export class HeartbeatClaim implements SessionClaim {
  readonly #remote: Claim;
  readonly #ttl: number;
  readonly #alive: "session" | "connection";
  readonly #lost = new AbortController();
  readonly lost: Signal = this.#lost.signal;
  #certain = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #released = false;

  /** `connection`: its end is the end of the hold. */
  constructor(remote: Claim, ttl: number, alive: "session" | "connection" = "session") {
    this.#remote = remote;
    this.#ttl = ttl;
    this.#alive = alive;
  }

  certainUntil(): number {
    return this.#certain;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    const askedAt = monotonicNow();
    const token = await this.#remote.tryAcquire(deadline);
    if (token !== undefined) this.#heard(askedAt);
    return token;
  }

  waitTurn(signal: Signal): Promise<void> {
    return this.#remote.waitTurn?.(signal) ?? Promise.resolve();
  }

  async downgrade(): Promise<boolean> {
    return (await this.#remote.downgrade?.()) ?? false;
  }

  release(): Promise<void> {
    this.#released = true;
    clearTimeout(this.#timer);
    return this.#remote.release();
  }

  #heard(askedAt: number): void {
    this.#certain = Math.max(this.#certain, askedAt + this.#ttl);
    clearTimeout(this.#timer);
    if (!this.#released) this.#timer = setTimeout(() => void this.#beat(), Math.min(1_000, this.#ttl / 4)).unref();
  }

  async #beat(): Promise<void> {
    const askedAt = monotonicNow();
    const over = (): void => {
      if (monotonicNow() >= this.#certain - 1) this.#lost.abort();
    };
    const expiry = setTimeout(over, Math.max(0, this.#certain - askedAt)).unref();
    try {
      const renewed = this.#remote.renew?.(this.#ttl);
      // Also when it is not waited for any more.
      renewed?.then(
        (alive) => alive && (this.#certain = Math.max(this.#certain, askedAt + this.#ttl)),
        () => {},
      );
      // On one connection nothing is heard before what was asked first.
      const alive = await (this.#alive === "connection" ? renewed : Promise.race([renewed, silence(this.#ttl / 4)]));
      if (alive === undefined && !this.#released) void this.#beat();
      else if (alive === true) this.#heard(askedAt);
      else if (!this.#released) this.#lost.abort();
    } catch {
      if (this.#alive === "connection") this.#lost.abort();
      else if (!this.#released) this.#timer = setTimeout(() => void this.#beat(), 10).unref();
    } finally {
      clearTimeout(expiry);
    }
  }
}

function silence(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}
