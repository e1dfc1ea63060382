import { asLockError, LockBackendError } from "../errors.js";
import { onAbort } from "../on-abort.js";
import type { ClaimRequest, FencingToken, LeaseClaim, LockProvider, SessionClaim } from "../provider.js";
import { within } from "../settle.js";
import { monotonicNow } from "../clock.js";
import type { Signal } from "../signal.js";
import { leastTtl, Part } from "./part.js";

type Pair<Value> = readonly [Value, Value];

/** ms that one renewal, raise or try to give up may take. */
const longestPatience = 4_000;

/** One contender for a lock on two backends, the first of which is always taken first. */
abstract class MigrationClaim {
  readonly raise?: (floor: FencingToken) => Promise<boolean>;
  readonly request: ClaimRequest;
  readonly #lost = new AbortController();
  readonly lost: Signal = this.#lost.signal;
  readonly #sides: Pair<LockProvider>;
  readonly #keptHere: boolean;
  /** Parts that were given up for others, until that is confirmed. */
  readonly #leaving = new Set<Promise<unknown>>();
  #parts: Pair<Part>;
  /** Whether both are held and the token was handed out. */
  #whole = false;
  #released = false;
  #stir: () => void = () => {};

  /** `keptHere`: the parts are kept alive here also when the hold is complete, as a session's hold keeps itself alive. */
  constructor(sides: Pair<LockProvider>, request: ClaimRequest, fences: boolean, keptHere: boolean) {
    this.request = request;
    this.#sides = sides;
    this.#keptHere = keptHere;
    this.#parts = [this.#part(0), this.#part(1)];
    if (fences) this.raise = (floor) => this.#all((part) => part.raise(floor));
  }

  protected get parts(): Pair<Part> {
    return this.#parts;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    if (this.#released) return undefined;
    this.#replace((part) => part.dead);
    const parts = this.#parts;
    const [first, second] = parts;
    await this.#take(parts, deadline);
    if (first.token === undefined || second.token === undefined) return this.#refused(parts, deadline);
    const token = first.token > second.token ? first.token : second.token;
    // Before anybody sees the token: whoever comes next may know one side only.
    const raised = await Promise.all(parts.map((part) => part.raise(token)));
    if (this.#released) return undefined;
    if (raised.includes(false)) {
      this.#replace(() => true);
      return undefined;
    }
    if (!this.#keptHere) for (const part of parts) part.rest();
    this.#whole = true;
    return token;
  }

  async waitTurn(signal: Signal): Promise<void> {
    const [first, second] = this.#parts;
    const waiting = first.token === undefined ? first : second;
    const isWorthACall = !waiting.asked || waiting.dead || (waiting === second && (!first.certain || second.certain));
    if (isWorthACall) return;
    const turn = new AbortController();
    this.#stir = () => turn.abort();
    const stop = onAbort(signal, this.#stir);
    try {
      await waiting.wait(turn.signal);
    } finally {
      stop();
    }
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#stir();
    const failures = await Promise.all([...this.#parts.map((part) => part.giveUp()), ...this.#leaving]);
    const failure = failures.find((reason) => reason !== undefined);
    if (failure !== undefined) throw asLockError(failure, this.request.key);
  }

  protected renewAll(ttl: number): Promise<boolean> {
    return this.#all((part) => part.renew(ttl));
  }

  /** The first, then the second; both at once when both were held, so that proving a hold takes one round trip. */
  async #take([first, second]: Pair<Part>, deadline: number): Promise<void> {
    try {
      if (first.token !== undefined && second.token !== undefined) {
        // A whole one is renewed by whoever holds it, also when one side does not answer now.
        const tend = this.#keptHere || !this.#whole;
        const takes = await Promise.allSettled([first.take(deadline, { tend }), second.take(deadline, { tend })]);
        for (const take of takes) if (take.status === "rejected") throw take.reason;
      } else if ((await first.take(deadline)) !== undefined && !this.#released) {
        await second.take(deadline);
      }
    } catch (error) {
      // To hold the second and not the first is to block whoever holds the first and waits for the second.
      if (!this.#whole && first.deadline <= monotonicNow()) this.#replace((part) => part === second);
      throw error;
    }
    if (first.token === undefined) this.#replace((part) => part === second);
  }

  async #refused(parts: Pair<Part>, deadline: number): Promise<undefined> {
    this.#whole = false;
    if (this.request.join || this.#released) return undefined;
    this.#replace((part) => parts.includes(part));
    await within(Math.max(1, deadline - monotonicNow()), [...this.#leaving]);
    return undefined;
  }

  /** Gives up those that were asked for, and begins anew with others. */
  #replace(which: (part: Part) => boolean): void {
    if (this.#released) return;
    const renewed = this.#parts.map((part, side) => {
      if (!part.used || !which(part)) return part;
      this.#whole = false;
      const leaving: Promise<unknown> = part.giveUp().then((failure) => {
        this.#leaving.delete(leaving);
        return failure;
      });
      this.#leaving.add(leaving);
      return this.#part(side as 0 | 1);
    });
    this.#parts = renewed as unknown as Pair<Part>; // as many as there were
  }

  #part(side: 0 | 1): Part {
    const patience = Math.min(longestPatience, this.request.ttl);
    const part: Part = new Part(this.#sides[side], this.request, {
      patience,
      doubted: (reason) => {
        if (!this.#parts.includes(part)) return;
        if (this.#whole) this.#lost.abort(reason);
        else this.#stir();
      },
    });
    return part;
  }

  /** false as soon as one of them says so. */
  async #all(ask: (part: Part) => Promise<boolean>): Promise<boolean> {
    if (this.#released || !this.#whole) return false;
    const refusal = new LockBackendError("refused");
    try {
      await Promise.all(
        this.#parts.map(async (part) => {
          if (!(await ask(part))) throw refusal;
        }),
      );
      return !this.#released;
    } catch (error) {
      if (error === refusal) return false;
      throw error;
    }
  }
}

/** Of two leases: whoever holds it renews both. */
export class LeaseMigration extends MigrationClaim implements LeaseClaim {
  constructor(sides: Pair<LockProvider>, request: ClaimRequest, fences: boolean) {
    super(sides, request, fences, false);
  }

  get ttl(): number | undefined {
    return leastTtl(this.parts, this.request);
  }

  renew(ttl: number): Promise<boolean> {
    return this.renewAll(ttl);
  }
}

/** With a session in it: what is a lease is renewed here. */
export class SessionMigration extends MigrationClaim implements SessionClaim {
  constructor(sides: Pair<LockProvider>, request: ClaimRequest, fences: boolean) {
    super(sides, request, fences, true);
  }

  /** A dead holder keeps the lock as long as it keeps either. */
  get ttl(): number {
    return Math.max(...this.parts.map(({ claim }) => claim.ttl ?? this.request.ttl));
  }

  certainUntil(): number {
    return Math.min(...this.parts.map((part) => part.deadline));
  }
}
