import assert from "node:assert/strict";
import { createLocks } from "@dlock/core";
import type { Claim, ClaimRequest, FencingToken, LockProvider, Locks, LocksOptions } from "@dlock/core";
import type { Harness, LinkedPeer, Peer } from "./harness.js";
import { now, sleep, within } from "./time.js";

const run = crypto.randomUUID().slice(0, 8);
let keys = 0;

export interface Win {
  readonly token: FencingToken;
  /** Just before the call that was answered with the token, and just after. */
  readonly askedAt: number;
  readonly wonAt: number;
}

/** What one law plays on: peers, claims and locks that are gone when it is over. */
export class Stage {
  readonly harness: Harness;
  /** For holds and places that have to end by themselves. */
  readonly ttl: number;
  readonly slack: number;
  readonly deadWaiter: number;
  /** For holds that must not end by themselves, however slow the machine. */
  readonly longTtl = 60_000;
  readonly #peers: Peer[] = [];
  readonly #claims: Claim[] = [];
  readonly #locks: Locks[] = [];
  readonly #cleanups: (() => unknown)[] = [];

  constructor(harness: Harness) {
    this.harness = harness;
    this.ttl = harness.timing?.ttl ?? 400;
    this.slack = harness.timing?.slack ?? 300;
    this.deadWaiter = harness.timing?.deadWaiter ?? this.ttl;
  }

  /** Nobody else's. */
  key(): string {
    return `${this.harness.name}-${run}-${++keys}`;
  }

  async peer(open: () => Promise<Peer> = this.harness.open): Promise<Peer> {
    const peer = await open();
    this.#peers.push(peer);
    return peer;
  }

  async linkedPeer(): Promise<LinkedPeer> {
    assert.ok(this.harness.openLinked);
    const peer = await this.harness.openLinked();
    this.#peers.push(peer);
    return peer;
  }

  /** A peer whose holds end unless they are renewed, once it vanished. */
  mortal(): Promise<Peer> {
    return this.harness.guarantees.alive === "lease" ? this.peer() : this.linkedPeer();
  }

  /** As if its process died, as far as the server can tell. A lease that nobody renews needs nothing. */
  vanish(peer: Peer): void {
    if (this.harness.guarantees.alive !== "lease") (peer as LinkedPeer).link.freeze();
  }

  revive(peer: Peer): void {
    if (this.harness.guarantees.alive !== "lease") (peer as LinkedPeer).link.heal();
  }

  claim(peer: { readonly provider: LockProvider }, request: Partial<ClaimRequest> & { readonly key: string }): Claim {
    const claim = peer.provider.claim({
      id: crypto.randomUUID(),
      owner: "conformance",
      ttl: this.longTtl,
      mode: "exclusive",
      limit: 1,
      join: true,
      ...request,
    });
    this.#claims.push(claim);
    return claim;
  }

  async locks(peer: { readonly provider: LockProvider }, options?: LocksOptions): Promise<Locks> {
    const locks = await createLocks(peer.provider, options);
    this.#locks.push(locks);
    return locks;
  }

  /** Called when the law is over, before anything is closed. */
  finally(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  /** One answer, with failures that the backend calls passing ridden out. */
  ask(claim: Claim): Promise<FencingToken | undefined> {
    return this.rideOut(() => within(5_000 + this.slack, claim.tryAcquire(now() + 5_000), "tryAcquire"));
  }

  /** Calls again after a failure that the backend calls passing. */
  async rideOut<Value>(call: () => Promise<Value>): Promise<Value> {
    const end = now() + this.slack;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isRetryable(error) || now() > end) throw error;
        await sleep(5);
      }
    }
  }

  /** Asks until it holds. */
  async win(claim: Claim, patience: number = this.slack, what = "the lock"): Promise<Win> {
    const end = now() + patience;
    for (;;) {
      const askedAt = now();
      const token = await this.ask(claim);
      const wonAt = now();
      if (token !== undefined) return { token, askedAt, wonAt };
      assert.ok(wonAt < end, `${what} was not to be had within ${Math.round(patience)} ms`);
      await sleep(5);
    }
  }

  /** Whether the claim says that it holds. A failure to answer does not. */
  async saysItHolds(claim: Claim): Promise<boolean> {
    const token = await within(5_000, claim.tryAcquire(now() + 2_000), "tryAcquire").catch(() => undefined);
    return token !== undefined;
  }

  /** Somebody who does not queue takes it, soon, and gives it back. */
  async assertFree(peer: Peer, key: string, patience: number = this.slack): Promise<FencingToken> {
    const stranger = this.claim(peer, { key, join: false });
    const { token } = await this.win(stranger, patience, "a lock that should be free");
    await stranger.release();
    return token;
  }

  async assertTaken(peer: Peer, key: string): Promise<void> {
    const stranger = this.claim(peer, { key, join: false });
    const token = await this.ask(stranger);
    await stranger.release();
    assert.equal(token, undefined, "a lock that is held was given to somebody else");
  }

  /** ms a dead holder keeps this hold. */
  lifetime(claim: Claim, asked: number = this.ttl): number {
    return claim.ttl ?? asked;
  }

  /** Monotonic ms up to which the hold is promised to the claim. */
  certainUntil(claim: Claim, askedAt: number, asked: number = this.ttl): number {
    return "certainUntil" in claim ? claim.certainUntil() : askedAt + this.lifetime(claim, asked);
  }

  async end(): Promise<void> {
    for (const cleanup of this.#cleanups) await settled(cleanup());
    for (const peer of this.#peers) if ("link" in peer) (peer as LinkedPeer).link.heal();
    await settled(Promise.all(this.#locks.map((locks) => settled(locks.close()))));
    await settled(Promise.all(this.#claims.map((claim) => settled(claim.release()))));
    await settled(Promise.all(this.#peers.map((peer) => settled(peer.close()))));
  }
}

function isRetryable(error: unknown): boolean {
  return typeof error === "object" && error !== null && "retryable" in error && error.retryable === true;
}

/** Whatever becomes of it, and not for long: core undoes in the background what it is in doubt about. */
async function settled(outcome: unknown): Promise<void> {
  await within(200, Promise.resolve(outcome), "cleaning up").catch(() => {});
}
