import { monotonicNow } from "../clock.js";
import { LockBackendError } from "../errors.js";
import { type Guarantees, requireModes } from "../guarantees.js";
import { onAbort } from "../on-abort.js";
import type { ClaimRequest, FencingToken, LeaseClaim, LockProvider, LockStatus } from "../provider.js";
import type { Signal } from "../signal.js";
import type { MemoryStore } from "./memory-store.js";

const guarantees: Guarantees = {
  exclusion: "process",
  failover: "none",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "fifo",
  waiting: "push",
  modes: ["exclusive", "shared", "semaphore"],
};

/** Locks within one process: for tests, and for work that only this process must not do twice. */
export class MemoryProvider implements LockProvider {
  readonly guarantees: Guarantees = guarantees;
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  claim(request: ClaimRequest): LeaseClaim {
    requireModes(guarantees, request);
    return new MemoryClaim(this.#store, request);
  }

  async inspect(key: string): Promise<LockStatus> {
    return this.#store.inspect(key);
  }

  async forceRelease(key: string): Promise<boolean> {
    return this.#store.forceRelease(key);
  }
}

class MemoryClaim implements LeaseClaim {
  readonly #store: MemoryStore;
  readonly #request: ClaimRequest;
  #released = false;

  constructor(store: MemoryStore, request: ClaimRequest) {
    this.#store = store;
    this.#request = request;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    if (this.#released) return undefined;
    if (monotonicNow() > deadline) {
      throw new LockBackendError("the attempt came after its deadline", { key: this.#request.key, retryable: true });
    }
    return this.#store.tryAcquire(this.#request);
  }

  waitTurn(signal: Signal): Promise<void> {
    return new Promise((resolve) => {
      let forget = () => {};
      const stop = onAbort(signal, () => {
        forget();
        resolve();
      });
      forget = this.#store.awaitTurn(this.#request, () => {
        stop();
        resolve();
      });
      if (signal.aborted) forget();
    });
  }

  async renew(ttl: number): Promise<boolean> {
    return this.#store.renew(this.#request, ttl);
  }

  async downgrade(): Promise<boolean> {
    return this.#store.downgrade(this.#request);
  }

  async raise(floor: FencingToken): Promise<boolean> {
    return this.#store.raise(this.#request, floor);
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#store.release(this.#request);
  }
}
