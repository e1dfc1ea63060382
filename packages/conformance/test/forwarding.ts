import type { Claim, ClaimRequest, FencingToken, LeaseClaim, Signal } from "@dlock/core";
import type { Client } from "./model-harness.js";

/** A client half that adds nothing, for defects to add to. */
export class Forwarding implements LeaseClaim {
  protected readonly remote: Claim;
  protected readonly request: ClaimRequest;

  constructor(remote: Claim, request: ClaimRequest) {
    this.remote = remote;
    this.request = request;
  }

  tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    return this.remote.tryAcquire(deadline);
  }

  async waitTurn(signal: Signal): Promise<void> {
    await this.remote.waitTurn?.(signal);
  }

  async renew(ttl: number): Promise<boolean> {
    return (await this.remote.renew?.(ttl)) ?? true;
  }

  release(): Promise<void> {
    return this.remote.release();
  }
}

/** What makes such clients, for each peer. */
export function clientOf(claim: new (remote: Claim, request: ClaimRequest) => Claim): () => Client {
  return () => (request, remote) => new claim(remote(request), request);
}
