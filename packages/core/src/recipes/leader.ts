import { checkDuration, checkFields, checkText, checkTtl } from "../check.js";
import { isRetryable, LockConfigError, type LockLostError } from "../errors.js";
import type { Lock } from "../lock.js";
import type { Locks } from "../locks.js";
import { onAbort } from "../on-abort.js";
import type { FencingToken, HolderStatus } from "../provider.js";
import { pause } from "../settle.js";
import type { Signal } from "../signal.js";

/** Times are ms; as Kubernetes checks them, `lease` > `renewDeadline` > 1.2 × `retry`. */
export interface LeaderOptions {
  /** How long a dead leader keeps the others out; default 15 000. */
  readonly lease?: number | undefined;
  /** How long a leader that cannot renew goes on leading; default 10 000. */
  readonly renewDeadline?: number | undefined;
  /** How often a leader renews, and an observer looks; default 2 000. */
  readonly retry?: number | undefined;
  /** Human label, for observers; default `host:pid`. */
  readonly owner?: string | undefined;
}

/** The time in which this process leads. */
export interface Term {
  /** Larger in every term, whoever leads: fences what the leader writes. */
  readonly fencingToken: FencingToken;
  /** Aborts when the term ends before it was resigned, and before anybody else can lead while this process runs. */
  readonly signal: Signal;
  /** Throws `LockLostError` unless the term goes on for `marginMs` more. */
  throwIfOver(marginMs?: number): void;
  /** Idempotent; what follows a term in the loop does it too. */
  resign(): Promise<void>;
}

export interface Election {
  /**
   * Campaigns, and yields a term whenever this process leads; a term is resigned when the body of the loop is over. Ends when `signal`
   * aborts; rides out a failing backend; rejects with `LockClosedError` and with what can never work.
   */
  terms(options?: { readonly signal?: Signal | undefined }): AsyncIterableIterator<Term>;
  /** Who leads now. */
  current(): Promise<HolderStatus | undefined>;
  /** Who leads, now and after every change, until `signal` aborts. */
  observe(options?: { readonly signal?: Signal | undefined }): AsyncIterableIterator<HolderStatus | undefined>;
}

/** An election among all who campaign for `name`. Throws `LockConfigError`. */
export function leader(locks: Locks, name: string, options: LeaderOptions = {}): Election {
  checkText("name", name);
  const settings = checkLeader(options);
  const current = async () => (await locks.inspect(name)).holders[0];
  return {
    terms: ({ signal } = {}) => campaign(locks, name, settings, signal),
    current,
    observe: ({ signal } = {}) => observe(current, settings.retry, signal),
  };
}

interface Settings {
  readonly lease: number;
  readonly renewDeadline: number;
  readonly retry: number;
  readonly owner: string | undefined;
}

function checkLeader(options: LeaderOptions): Settings {
  checkFields("options", options, ["lease", "renewDeadline", "retry", "owner"]);
  const { lease = 15_000, renewDeadline = 10_000, retry = 2_000, owner } = options;
  checkTtl(lease);
  checkDuration("renewDeadline", renewDeadline, 1);
  checkDuration("retry", retry, 1);
  if (renewDeadline >= lease)
    throw new LockConfigError("renewDeadline", renewDeadline, `less than the lease (${lease})`);
  if (retry * 1.2 >= renewDeadline) {
    throw new LockConfigError("retry", retry, `less than renewDeadline / 1.2 (${Math.floor(renewDeadline / 1.2)})`);
  }
  return { lease, renewDeadline, retry, owner };
}

async function* campaign(
  locks: Locks,
  name: string,
  settings: Settings,
  signal: Signal | undefined,
): AsyncGenerator<Term, void, void> {
  const { lease, retry, owner } = settings;
  while (!signal?.aborted) {
    let lock: Lock;
    try {
      // A campaign has no end of its own, whatever the default of other waits is.
      lock = await locks.acquire(name, { ttl: lease, owner, signal, waitTimeout: Number.POSITIVE_INFINITY });
    } catch (error) {
      if (signal?.aborted) return;
      if (!isRetryable(error)) throw error;
      await pause(retry, { background: false, signal });
      continue;
    }
    const term = new LeaderTerm(lock, settings);
    try {
      yield term;
    } finally {
      await term.resign();
    }
  }
}

class LeaderTerm implements Term {
  readonly #lock: Lock;
  /** Ms of certainty that have to be left: less than that, and it was not renewed for `renewDeadline`. */
  readonly #reserve: number;
  readonly #over = new AbortController();
  readonly #ended = new AbortController();
  #stop: () => void = () => {};
  #renewing: Promise<void> | undefined;

  constructor(lock: Lock, { lease, renewDeadline, retry }: Settings) {
    this.#lock = lock;
    this.#reserve = Math.max(0, Math.min(lock.ttl, lease) - renewDeadline);
    this.#stop = onAbort(lock.signal, () => this.#end(lock.signal.reason));
    void this.#keep(retry);
  }

  get fencingToken(): FencingToken {
    return this.#lock.fencingToken;
  }

  get signal(): Signal {
    return this.#over.signal;
  }

  throwIfOver(marginMs = 0): void {
    if (this.#over.signal.aborted) throw this.#over.signal.reason as LockLostError;
    this.#lock.throwIfLost(this.#reserve + marginMs);
  }

  async resign(): Promise<void> {
    this.#stop();
    this.#ended.abort();
    await this.#lock.release();
  }

  async #keep(retry: number): Promise<void> {
    for (;;) {
      await pause(retry, { background: true, signal: this.#ended.signal });
      if (this.#ended.signal.aborted) return;
      void this.#renew();
      try {
        this.throwIfOver();
      } catch (error) {
        this.#end(error);
      }
    }
  }

  /** One at a time: a server that does not answer is not asked again meanwhile. What fails is judged by the deadline that does not move. */
  async #renew(): Promise<void> {
    this.#renewing ??= this.#lock.extend().catch(() => {});
    await this.#renewing;
    this.#renewing = undefined;
  }

  #end(reason: unknown): void {
    this.#stop();
    this.#ended.abort();
    this.#over.abort(reason);
    void this.#lock.release();
  }
}

async function* observe(
  current: () => Promise<HolderStatus | undefined>,
  every: number,
  signal: Signal | undefined,
): AsyncGenerator<HolderStatus | undefined, void, void> {
  let last: FencingToken | undefined | "nobody looked yet" = "nobody looked yet";
  while (!signal?.aborted) {
    try {
      const holder = await current();
      if (holder?.fencingToken !== last) {
        last = holder?.fencingToken;
        yield holder;
      }
    } catch (error) {
      if (!isRetryable(error)) throw error;
    }
    await pause(every, { background: false, signal });
  }
}
