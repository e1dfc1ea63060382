import { LockBackendError, LockConfigError, requireModes } from "@dlock/core";
import type { ClaimRequest, FencingToken, Guarantees, LeaseClaim, LockProvider, LockStatus, Signal } from "@dlock/core";
import type { ModelStore } from "./model-store.js";

export const modelGuarantees: Guarantees = {
  exclusion: "process",
  failover: "none",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "fifo",
  waiting: "push",
  modes: ["exclusive"],
};

/** Of a provider that can do all there is to do. */
export const family: Pick<Guarantees, "modes"> = { modes: ["exclusive", "shared", "semaphore"] };

/** A provider over the model store, as plain as the contract allows. */
export class ModelProvider implements LockProvider {
  readonly guarantees: Guarantees;
  readonly store: ModelStore;

  constructor(store: ModelStore, guarantees: Guarantees = modelGuarantees) {
    this.store = store;
    this.guarantees = guarantees;
  }

  claim(request: ClaimRequest): LeaseClaim {
    requireModes(this.guarantees, request);
    return new ModelClaim(this.store, request);
  }

  async inspect(key: string): Promise<LockStatus> {
    const name = this.store.name(key);
    return {
      key,
      holders: this.store.held(name).map(({ owner, mode, token }) => ({ owner, mode, fencingToken: token })),
      waiters: (this.store.lines.get(name) ?? []).map(({ owner, mode }) => ({ owner, mode })),
    };
  }

  async forceRelease(key: string): Promise<boolean> {
    return this.store.forceRelease(key);
  }
}

export class ModelClaim implements LeaseClaim {
  readonly store: ModelStore;
  readonly request: ClaimRequest;
  released = false;

  constructor(store: ModelStore, request: ClaimRequest) {
    this.store = store;
    this.request = request;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    if (this.released) return undefined;
    try {
      return this.store.tryAcquire(this.request, deadline);
    } catch (cause) {
      if (cause instanceof LockConfigError) throw cause;
      throw new LockBackendError("refused", { cause, retryable: true });
    }
  }

  waitTurn(signal: Signal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!signal.aborted && !this.store.isTurn(this.request)) return;
        stop();
        signal.removeEventListener("abort", look);
        resolve();
      };
      const stop = this.store.watch(this.request.key, look);
      signal.addEventListener("abort", look);
      look();
    });
  }

  async renew(ttl: number): Promise<boolean> {
    return this.store.renew(this.request, ttl);
  }

  async downgrade(): Promise<boolean> {
    return this.store.downgrade(this.request);
  }

  async raise(floor: FencingToken): Promise<boolean> {
    return this.store.raise(this.request, floor);
  }

  async release(): Promise<void> {
    this.released = true;
    this.store.release(this.request);
  }
}
