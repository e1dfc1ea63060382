import { backoff } from "../backoff.js";
import { monotonicNow } from "../clock.js";
import { Contender } from "../contender.js";
import { hadNoEffect, LockBackendError } from "../errors.js";
import { onAbort } from "../on-abort.js";
import type { Claim, ClaimRequest, FencingToken, LockProvider } from "../provider.js";
import { pause, settleBy } from "../settle.js";
import type { Signal } from "../signal.js";
import { Tenure } from "../tenure.js";
import { leaseEnd, Validity } from "../validity.js";

const longestPoll = 200;
/** ms that giving up is tried for, before it is left to go on in the background. */
const longestGoodbye = 10_000;

export interface PartTerms {
  /** ms that one call to the member may take, where nothing else bounds it. */
  readonly patience: number;
  /** Called when the part is gone, or not certain any more. */
  readonly doubted: (reason: unknown) => void;
}

/** What one member contributes to a hold of several: a claim of its own, kept alive until the hold is complete. */
export class Part {
  readonly claim: Claim;
  /** Of the last answer; it may be in doubt by now. */
  token: FencingToken | undefined;
  /** Whether it was asked for. */
  asked = false;
  readonly #request: ClaimRequest;
  readonly #terms: PartTerms;
  readonly #contender: Contender;
  #tenure: Tenure | undefined;
  /** Of its lease alone: where others answered a renewal, this member's may still be on its way. */
  #validity: Validity | undefined;
  /** Every later token is known to exceed it. */
  #floor: FencingToken = -1n;
  #polls = 0;
  /** Whether nothing of it can be at the member. */
  #clean = true;
  #ending: Promise<unknown> | undefined;
  #stopListening: () => void = () => {};

  /** Throws what the provider says to a request it cannot serve. */
  constructor(provider: LockProvider, request: ClaimRequest, terms: PartTerms) {
    this.#request = { ...request, id: crypto.randomUUID() };
    this.#terms = terms;
    this.claim = provider.claim(this.#request);
    this.#contender = new Contender(this.claim, { ...request, backendTimeout: terms.patience });
    const { lost } = this.claim;
    // Of one that was over before, `dead` tells.
    if (lost && !lost.aborted) this.#stopListening = onAbort(lost, () => terms.doubted(lost.reason));
  }

  /** Whether it was asked for, or cannot be any more: the next wait is another part's. */
  get used(): boolean {
    return this.asked || this.dead;
  }

  /** Whether its session is over: it cannot hold any more. */
  get dead(): boolean {
    return this.claim.lost?.aborted === true;
  }

  /** Whether it is held at this instant, as far as its tenure knows. Without one, whoever renews knows better. */
  get certain(): boolean {
    return this.token !== undefined && !this.dead && this.#tenure?.loss() === undefined;
  }

  /** Monotonic ms up to which it is certainly held, while it is kept alive here. */
  get deadline(): number {
    return this.certain ? (this.#tenure?.deadline ?? Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY;
  }

  /** Asks for it, or proves it and restarts its lease. `tend`: from then on it is kept alive here. */
  async take(deadline: number, { tend = true }: { readonly tend?: boolean } = {}): Promise<FencingToken | undefined> {
    this.asked = true;
    const wasClean = this.#clean;
    this.#clean = false;
    const grant = await this.#contender.tryAcquire(deadline);
    // A refusal leaves no place.
    this.#clean = wasClean && grant === undefined && !this.#request.join;
    this.rest();
    if (this.#ending) return undefined;
    this.token = grant?.token;
    if (grant === undefined) return undefined;
    this.#polls = 0;
    if (grant.token > this.#floor) this.#floor = grant.token;
    const { key, ttl } = this.#request;
    const { asked, doubtfulUntil } = grant;
    this.#validity = new Validity(asked, ttl, doubtfulUntil);
    if (tend) {
      const { patience: backendTimeout, doubted } = this.#terms;
      this.#tenure = new Tenure(this.claim, asked, { key, ttl, backendTimeout, doubtfulUntil }, { lost: doubted });
    }
    return grant.token;
  }

  /** Leaves it to others to keep it alive. */
  rest(): void {
    this.#tenure?.giveUp();
    this.#tenure = undefined;
  }

  /** Until `take` is worth another call. */
  async wait(signal: Signal): Promise<void> {
    const { claim } = this;
    if (claim.waitTurn) await claim.waitTurn(signal);
    else await pause(backoff(this.#polls++, longestPoll), { background: false, signal });
  }

  /**
   * false: certainly gone. An answer that comes late proves as much, as long as the lease can last that it is about. Rejects also
   * when another renewal, which may be on its way here still, could leave less of the lease than is asked for.
   */
  async renew(ttl: number): Promise<boolean> {
    const patience = Math.max(ttl, this.#terms.patience);
    const validity = this.#validity;
    const restart = validity?.ask(ttl);
    try {
      // Whoever waits for it sets a limit of its own, and that long is nothing to keep a process alive for.
      const alive = await this.#within(async () => (await this.claim.renew?.(ttl)) ?? true, {
        patience,
        background: true,
      });
      if (!alive || !validity || !restart) return alive;
    } catch (error) {
      if (restart && hadNoEffect(error)) validity?.forget(restart);
      else if (restart) validity?.doubt(restart);
      throw error;
    }
    validity.prove(restart);
    if (validity.end >= leaseEnd(restart.asked.at, ttl)) return true;
    const { key } = this.#request;
    throw new LockBackendError(`a shorter lease of "${key}" may still be on its way`, { key, retryable: true });
  }

  /** From now on every later token exceeds `floor`, where the member can do that. false: it is not held. */
  async raise(floor: FencingToken): Promise<boolean> {
    if (floor <= this.#floor || !this.claim.raise) return true;
    const raised = await this.#within(async () => (await this.claim.raise?.(floor)) ?? true);
    if (raised) this.#floor = floor;
    return raised;
  }

  /** Gives it up, in the background as long as it takes. Resolves with `undefined` when the member confirmed it, else with what prevented it. */
  giveUp(): Promise<unknown> {
    this.rest();
    this.#stopListening();
    this.token = undefined;
    if (this.#clean) return Promise.resolve();
    const until = monotonicNow() + Math.min(this.#request.ttl, longestGoodbye);
    return (this.#ending ??= this.#contender.retire(until, { background: true }).confirmed);
  }

  #within<Value>(
    call: () => Promise<Value>,
    { patience, background } = { patience: this.#terms.patience, background: false },
  ): Promise<Value> {
    const { key } = this.#request;
    const late = () => new LockBackendError(`no answer about "${key}" for ${patience} ms`, { key, retryable: true });
    return settleBy(call, monotonicNow() + patience, late, { background });
  }
}

/** What several leases have in common, if a member keeps another ttl than was asked for. */
export function leastTtl(parts: readonly Part[], { ttl }: ClaimRequest): number | undefined {
  const others = parts.flatMap(({ claim }) => (claim.ttl === undefined ? [] : [claim.ttl]));
  return others.length === 0 ? undefined : Math.min(ttl, ...others);
}
