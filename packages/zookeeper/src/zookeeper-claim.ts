import {
  type ClaimRequest,
  type FencingToken,
  LockBackendError,
  monotonicNow,
  settleBy,
  type SessionClaim,
  type Signal,
} from "@dlock/core";
import { again, Contest } from "./contest.js";
import type { Deployment } from "./deployment.js";
import { failedWith, failure } from "./failure.js";
import { HeldNode } from "./held-node.js";
import type { Session } from "./session.js";
import { untilConnected } from "./until-connected.js";

/** One contender for one lock, in the one session that its node belongs to. */
export class ZooKeeperClaim implements SessionClaim {
  /** There where readers are. */
  readonly downgrade?: () => Promise<boolean>;
  readonly #deployment: Deployment;
  readonly #request: ClaimRequest;
  readonly #contest: Contest;
  readonly #held: HeldNode;
  readonly #over = new AbortController();
  /** From just before the first request that could make the node. */
  #session: Session | undefined;
  #token: FencingToken | undefined;
  #stopListening: () => void = () => {};
  /** The one that is under way; later calls join it. */
  #attempt: Promise<FencingToken | undefined> | undefined;
  /** Whether that began without a place in line. */
  #fresh = false;
  /** Monotonic ms after which nobody waits for it any more. */
  #wantedUntil = Number.NEGATIVE_INFINITY;
  #released = false;
  #leaving: Promise<void> | undefined;

  constructor(deployment: Deployment, request: ClaimRequest) {
    this.#deployment = deployment;
    this.#request = request;
    this.#contest = new Contest(deployment.namespace, request, deployment.settings);
    this.#held = new HeldNode(this.#contest.node, (reason) => this.#lose(reason));
    if (deployment.settings.order === "fifo" && request.limit === 1) this.downgrade = () => this.#downgrade();
  }

  get lost(): Signal {
    return this.#over.signal;
  }

  get ttl(): number | undefined {
    return this.#session?.timeout;
  }

  certainUntil(): number {
    return this.#session !== undefined && this.#holds ? this.#session.certainUntil() : Number.NEGATIVE_INFINITY;
  }

  async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    if (this.#released) return undefined;
    this.#wantedUntil = Math.max(this.#wantedUntil, deadline);
    const attempt = (this.#attempt ??= this.#try().finally(() => (this.#attempt = undefined)));
    return settleBy(
      () => attempt,
      deadline,
      () => this.#error("did not answer in time", { noEffect: this.#session === undefined }),
      { background: false },
    );
  }

  waitTurn(signal: Signal): Promise<void> {
    return this.#contest.turn.wait(signal);
  }

  renew(ttl: number): Promise<boolean> {
    return this.#whileHeld(ttl, (session) => this.#held.prove(session));
  }

  raise(floor: FencingToken): Promise<boolean> {
    const { fence } = this.#deployment.namespace;
    return this.#whileHeld(this.#request.ttl, async (session) => {
      await this.#held.prove(session);
      // Later nodes have a larger czxid.
      await fence.raise(session, floor - (await this.#contest.oldest(session)));
    });
  }

  release(): Promise<void> {
    this.#released = true;
    this.#leaving ??= this.#leave().catch((error: unknown) => {
      // Whoever asks again tries again.
      this.#leaving = undefined;
      throw error;
    });
    return this.#leaving;
  }

  get #holds(): boolean {
    return this.#token !== undefined && !this.#released && !this.lost.aborted;
  }

  /** Whether it still holds after the work, which begins with an answer of the leader about our node. */
  async #whileHeld(ttl: number, work: (session: Session) => Promise<void>): Promise<boolean> {
    const session = this.#session;
    if (session === undefined || !this.#holds) return false;
    try {
      const until = monotonicNow() + Math.max(ttl / 3, 5);
      await untilConnected(session, () => work(session), until);
    } catch (error) {
      if (failedWith(error, "NO_NODE", "SESSION_LOST")) this.#lose(error);
      else if (this.#holds) throw failure(error, this.#request.key);
    }
    return this.#holds;
  }

  /** What an attempt makes when nobody waits for it any more, it takes away itself. */
  async #try(): Promise<FencingToken | undefined> {
    this.#fresh = this.#contest.node.place === undefined;
    try {
      const token = await this.#ask();
      if (this.#fresh) this.#checkWanted();
      return this.#released ? undefined : token;
    } catch (error) {
      const late = monotonicNow() >= this.#wantedUntil;
      if (this.#fresh && late && !this.#released) await this.#undo();
      throw failure(error, this.#request.key);
    } finally {
      this.#fresh = false;
      if (this.#session?.lost.aborted) this.#mourn();
    }
  }

  /** Until there is an answer, over as many connections as that takes; over as many sessions, while nobody knows of a place in line. */
  async #ask(): Promise<FencingToken | undefined> {
    while (!this.#released) {
      if (this.lost.aborted) throw this.#error("has taken the node of a claim away", { noEffect: true });
      this.#checkWanted();
      try {
        const session = this.#session ?? (await this.#deployment.session.ready(this.#wantedUntil));
        await session.ready(this.#wantedUntil);
        if (this.#released) break;
        this.#belongTo(session);
        const answer = await this.#look(session);
        if (answer !== again) return answer;
      } catch (error) {
        if (failedWith(error, "NO_NODE")) this.#lose(error);
        if (this.#fresh && this.#session?.lost.aborted) this.#leaveSession();
        else if (!failedWith(error, "CONNECTION_LOSS") || this.#session === undefined) throw error;
      }
    }
    return undefined;
  }

  async #look(session: Session): Promise<FencingToken | undefined | typeof again> {
    const { node } = this.#contest;
    if (this.#token !== undefined) {
      await this.#held.prove(session);
      return this.#token;
    }
    if (node.doubtful) await node.find(session);
    const sight = this.#released ? undefined : await this.#contest.look(session);
    if (sight === again) return again;
    if (sight === undefined || node.place === undefined) return undefined;
    const { fence } = this.#deployment.namespace;
    const { czxid } = node.place;
    const token = czxid + (sight.offset ?? (await fence.begin(session, czxid)));
    if (this.#released || this.lost.aborted) return undefined;
    this.#held.keep(session);
    return (this.#token = token);
  }

  /** It goes on until its outcome is certain, also when nobody waits for that any more. */
  async #downgrade(): Promise<boolean> {
    const session = this.#session;
    if (session === undefined || !this.#holds) return false;
    const until = monotonicNow() + Math.max(this.#request.ttl / 3, 5);
    try {
      await settleBy(
        () => this.#held.downgrade(session, () => this.#holds),
        until,
        () => this.#error("did not answer in time"),
        { background: false },
      );
    } catch (error) {
      if (this.#holds) throw failure(error, this.#request.key);
    }
    return this.#holds;
  }

  #belongTo(session: Session): void {
    if (this.#session !== undefined) return;
    this.#session = session;
    session.lost.addEventListener("abort", this.#mourn);
    // Who waits in silence would never learn that no server is there any more.
    const stop = session.onConnection((connected) => connected || this.#contest.turn.now());
    this.#stopListening = () => {
      session.lost.removeEventListener("abort", this.#mourn);
      stop();
    };
    const { key, ttl } = this.#request;
    if (ttl >= session.timeout) return;
    const message = `a dead holder keeps its locks for ${session.timeout} ms, which its session lasts, not for ${ttl} ms`;
    this.#deployment.notice("TTL_RAISED", `${message}; sessionTimeout sets it, within what the server allows`, key);
  }

  #leaveSession(): void {
    this.#stopListening();
    this.#session = undefined;
    this.#contest.node.forget();
  }

  readonly #mourn = (): void => {
    if (!this.#fresh) this.#lose(this.#session?.lost.reason);
  };

  /** The node is gone, or will be as soon as the servers know of it. */
  #lose(reason: unknown): void {
    this.#held.stop();
    if (!this.#released) this.#over.abort(reason);
    this.#contest.turn.now();
  }

  async #leave(): Promise<void> {
    this.#held.stop();
    this.#contest.turn.now();
    // Else nothing was sent, and nothing will be.
    if (this.#session !== undefined) await this.#attempt?.catch(() => {});
    await this.#held.settled();
    const session = this.#session;
    try {
      // Else the servers took the node away, or will.
      if (session?.lost.aborted === false && !this.lost.aborted) await this.#contest.withdraw(session);
    } catch (error) {
      if (!session?.lost.aborted) throw failure(error, this.#request.key);
    } finally {
      this.#stopListening();
    }
  }

  async #undo(): Promise<void> {
    this.#held.stop();
    this.#token = undefined;
    try {
      if (this.#session) await this.#contest.withdraw(this.#session);
    } catch {
      // Its session is over.
    }
  }

  #checkWanted(): void {
    const late = monotonicNow() >= this.#wantedUntil;
    if (late) throw this.#error("answered too late", { noEffect: this.#session === undefined });
  }

  #error(what: string, { noEffect = false } = {}): LockBackendError {
    const { key } = this.#request;
    return new LockBackendError(`zookeeper ${what} about "${key}"`, { key, retryable: true, noEffect });
  }
}
