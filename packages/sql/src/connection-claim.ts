import {
  type ClaimRequest,
  type FencingToken,
  LockBackendError,
  monotonicNow,
  type SessionClaim,
  settleBy,
  type Signal,
} from "@dlock/core";
import { type Counters, soon } from "./counters.js";
import type { Exclusion, Wanted } from "./exclusion.js";
import type { LockSession } from "./lock-session.js";
import type { SessionPool } from "./session-pool.js";

/** ms that a release without an answer is waited for before its session is ended from the side. */
const patience = 1_000;

/** One contender for a lock that lives by a connection. */
export class ConnectionClaim implements SessionClaim {
  readonly ttl: number;
  readonly #pool: SessionPool;
  readonly #exclusion: Exclusion;
  #wanted: Wanted;
  readonly #join: boolean;
  readonly #counters: Counters;
  /** Where it can be done in one step. */
  readonly downgrade: SessionClaim["downgrade"];
  readonly #lost = new AbortController();
  readonly #over = new AbortController();
  /** One step at a time; a step that was given up undoes itself before the next one begins. */
  #tail: Promise<unknown> = Promise.resolve();
  /** The session that has the lock. */
  #session: LockSession | undefined;
  #token: FencingToken | undefined;
  /** Sessions that may have the lock although they were given up. */
  readonly #doubtful = new Set<LockSession>();

  constructor(pool: SessionPool, exclusion: Exclusion, request: ClaimRequest, ttl: number, counters: Counters) {
    const { key, id, owner, mode, join } = request;
    this.ttl = ttl;
    this.#pool = pool;
    this.#exclusion = exclusion;
    this.#wanted = { id: exclusion.idOf(key), key, claim: id, owner, mode };
    this.#join = join;
    this.#counters = counters;
    if (exclusion.downgrade !== undefined) this.downgrade = () => this.#step(() => this.#downgrade());
  }

  get lost(): Signal {
    return this.#lost.signal;
  }

  certainUntil(): number {
    return this.#session?.certainUntil ?? Number.NEGATIVE_INFINITY;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    const token = await settleBy(() => this.#step(() => this.#try(deadline)), deadline, silent, { background: false });
    return this.#over.signal.aborted ? undefined : token;
  }

  async waitTurn(signal: Signal): Promise<void> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    const over = this.#over.signal;
    if (signal.aborted || over.aborted) return;
    signal.addEventListener("abort", abort);
    over.addEventListener("abort", abort);
    try {
      await this.#step(() => this.#wait(stop.signal));
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      over.removeEventListener("abort", abort);
    }
  }

  async renew(): Promise<boolean> {
    const over = () => this.#over.signal.aborted || this.#lost.signal.aborted;
    if (over() || this.#token === undefined) return false;
    try {
      await this.#session?.beat();
    } catch (error) {
      if (!over()) throw error;
    }
    return !over();
  }

  async raise(floor: FencingToken): Promise<boolean> {
    if (!(await this.renew())) return false;
    await this.#counters.raise(this.#wanted, floor);
    return true;
  }

  release(): Promise<void> {
    this.#over.abort();
    return this.#step(() => this.#free());
  }

  async #try(deadline: number): Promise<FencingToken | undefined> {
    const { signal } = this.#over;
    if (signal.aborted) return undefined;
    if (this.#lost.signal.aborted) throw ended(this.#lost.signal.reason);
    if (this.#token !== undefined) {
      await this.#prove(deadline);
      return this.#token;
    }
    await this.#settleDoubts();
    if (this.#session === undefined && !(await this.#take(deadline))) return undefined;
    return await this.#hold(deadline);
  }

  /** A release must not have to wait for a heartbeat, which may take as long as the hold is certain. */
  async #prove(deadline: number): Promise<void> {
    await settleBy(async () => this.#session?.beat(), deadline, silent, { background: false });
  }

  /** Whether the lock was free. */
  async #take(deadline: number): Promise<boolean> {
    await this.#counters.prepare({ until: deadline });
    const session = await this.#find(deadline);
    if (session === undefined) return false;
    try {
      if (await this.#exclusion.take(session, this.#wanted, deadline)) {
        // From here on it is kept alive: the token may take as long as it likes.
        session.enter(this.#wanted.id);
        this.#session = session;
        return true;
      }
    } catch (error) {
      this.#counters.doubt(error);
      await this.#abandon(session);
      throw error;
    }
    this.#leave(session);
    return false;
  }

  /** Who may wait has no need to wait here: while no connection is free, that is what its turn is about. */
  async #find(deadline: number): Promise<LockSession | undefined> {
    const find = () => (this.#exclusion.roomy ? this.#pool.share(this.#wanted.id, this.ttl) : this.#pool.own(this.ttl));
    return this.#join ? find() : await this.#pool.wait(find, deadline, this.#over.signal);
  }

  /** The lock is taken; makes it a hold with a token. */
  async #hold(deadline: number): Promise<FencingToken> {
    const session = this.#session as LockSession;
    const { id } = this.#wanted;
    try {
      const token = await this.#exclusion.draw(session, this.#wanted, deadline);
      if (monotonicNow() >= deadline) throw new LockBackendError("the lock was taken too late", { retryable: true });
      if (session.certainUntil === Number.NEGATIVE_INFINITY) throw ended(undefined);
      session.enter(id, (reason) => this.#lose(reason));
      this.#token = token;
      return token;
    } catch (error) {
      this.#session = undefined;
      await this.#abandon(session);
      throw error;
    }
  }

  async #wait(signal: Signal): Promise<void> {
    if (signal.aborted || this.#session !== undefined) return;
    await this.#settleDoubts();
    await this.#counters.prepare({ until: soon(), signal });
    const forever = Number.POSITIVE_INFINITY;
    const session = await this.#pool.wait(() => this.#pool.own(this.ttl), forever, signal);
    try {
      while (!(await this.#exclusion.wait(session, this.#wanted, signal)));
      session.enter(this.#wanted.id);
      this.#session = session;
      // What was won on it is as good a neighbour as any.
      session.exclusive = !this.#exclusion.roomy;
    } catch (error) {
      this.#counters.doubt(error);
      await this.#abandon(session);
      throw error;
    }
  }

  async #downgrade(): Promise<boolean> {
    if (!(await this.renew())) return false;
    if (this.#wanted.mode === "shared") return true;
    const [session, token] = [this.#session, this.#token];
    if (session === undefined || token === undefined) return false;
    await this.#exclusion.downgrade?.(session, this.#wanted, token, soon());
    this.#wanted = { ...this.#wanted, mode: "shared" };
    return true;
  }

  #lose(reason: unknown): void {
    if (!this.#over.signal.aborted) this.#lost.abort(ended(reason));
  }

  async #free(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) {
      try {
        await this.#exclusion.free(session, this.#wanted, monotonicNow() + patience);
        this.#leave(session);
      } catch {
        await this.#abandon(session);
      }
    }
    await this.#settleDoubts();
  }

  #leave(session: LockSession): void {
    session.leave(this.#wanted.id);
    this.#pool.give(session);
  }

  /** After a failure, when nobody knows whether the session has the lock. */
  async #abandon(session: LockSession): Promise<void> {
    const { id } = this.#wanted;
    session.leave(id);
    // Not even opened, it has done nothing; but it may never be.
    if (!session.used) return session.empty ? session.destroy() : undefined;
    if (!session.empty && !session.exclusive) {
      // Others live by it: what was done has to be undone there.
      session.enter(id);
      await this.#exclusion.free(session, this.#wanted, monotonicNow() + patience).catch(() => session.destroy());
      return this.#leave(session);
    }
    this.#doubtful.add(session);
    session.destroy();
  }

  /** Until the sessions are over that may have the lock: they would refuse it to the claim itself. */
  async #settleDoubts(): Promise<void> {
    for (const session of this.#doubtful) {
      await session.confirmEnd();
      this.#doubtful.delete(session);
    }
  }

  #step<Value>(step: () => Promise<Value>): Promise<Value> {
    const turn = this.#tail.then(step);
    this.#tail = turn.catch(() => {});
    return turn;
  }
}

function silent(): LockBackendError {
  return new LockBackendError("the database did not answer in time", { retryable: true });
}

function ended(reason: unknown): LockBackendError {
  return new LockBackendError("the connection that the lock lived by has ended", { retryable: true, cause: reason });
}
