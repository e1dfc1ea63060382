import { LockBackendError, monotonicNow } from "@dlock/core";
import type { Claim, ClaimRequest, LockProvider, Signal } from "@dlock/core";
import type { Link } from "@dlock/conformance";

type State = "healthy" | "frozen" | "cut" | "deaf";

/** A connection within the process: keeps the order of what is sent, and can be frozen, cut, made deaf and slowed down. */
export class Wire implements Link {
  #state: State = "healthy";
  #delay = 0;
  #closed = false;
  readonly #held: (() => void)[] = [];
  readonly #broken = new Set<(error: Error) => void>();
  /** When what was sent last arrives, in each direction: nothing overtakes. */
  #arrivals = { there: 0, back: 0 };

  freeze(): void {
    this.#state = "frozen";
  }

  cut(): void {
    this.#state = "cut";
    this.#held.length = 0;
    for (const fail of this.#broken) fail(gone());
  }

  dropReplies(): void {
    this.#state = "deaf";
  }

  delay(ms: number): void {
    this.#delay = ms;
  }

  heal(): void {
    this.#state = "healthy";
    this.#delay = 0;
    for (const deliver of this.#held.splice(0)) deliver();
  }

  close(): void {
    this.#closed = true;
    this.cut();
  }

  /** One request and its answer; without an answer it fails at `deadline`, if there is one. */
  request<Value>(execute: () => Promise<Value>, deadline?: number): Promise<Value> {
    if (this.#state === "cut" || this.#closed) return Promise.reject(gone({ noEffect: true }));
    return new Promise((resolve, reject) => {
      const over = (settle: () => void): void => {
        clearTimeout(timer);
        this.#broken.delete(fail);
        settle();
      };
      const fail = (error: Error): void => over(() => reject(error));
      const timer =
        deadline === undefined ? undefined : setTimeout(() => fail(gone()), Math.max(0, deadline - monotonicNow()));
      this.#broken.add(fail);
      this.#carry("there", () => {
        const answer = (settle: () => void): void => {
          if (this.#state !== "deaf") this.#carry("back", () => over(settle));
        };
        execute().then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
        );
      });
    });
  }

  #carry(direction: "there" | "back", deliver: () => void): void {
    if (this.#state === "cut") return;
    const arrive = (): void => {
      if (this.#state === "frozen") this.#held.push(deliver);
      else if (this.#state !== "cut") deliver();
    };
    const ready = Math.max(monotonicNow() + this.#delay, this.#arrivals[direction]);
    this.#arrivals[direction] = ready;
    const wait = ready - monotonicNow();
    if (wait > 0) setTimeout(arrive, wait);
    else arrive();
  }
}

/** A provider at the other end of a wire; which one, is asked anew for every request: servers restart. */
export function wired(server: () => LockProvider, wire: Wire): LockProvider {
  const { guarantees, inspect, forceRelease } = server();
  return {
    guarantees,
    claim: (request) => wiredClaim(server, request, wire),
    ...(inspect && {
      inspect: (key: string) => wire.request(async () => server().inspect?.(key) ?? { key, holders: [], waiters: [] }),
    }),
    ...(forceRelease && {
      forceRelease: (key: string) => wire.request(async () => server().forceRelease?.(key) ?? false),
    }),
    close: async () => wire.close(),
  };
}

function wiredClaim(server: () => LockProvider, request: ClaimRequest, wire: Wire): Claim {
  let claimedAt = server();
  let claim = claimedAt.claim(request);
  const inner = (): Claim => {
    if (claimedAt !== server()) claim = (claimedAt = server()).claim(request);
    return claim;
  };
  return {
    tryAcquire: (deadline) => wire.request(() => inner().tryAcquire(deadline), deadline),
    ...(claim.waitTurn && { waitTurn: (signal: Signal) => waitTurn(inner, wire, signal) }),
    renew: (ttl) => wire.request(async () => inner().renew?.(ttl) ?? true, monotonicNow() + request.ttl),
    ...(claim.downgrade && {
      downgrade: () => wire.request(async () => inner().downgrade?.() ?? false),
    }),
    ...(claim.raise && { raise: (floor: bigint) => wire.request(async () => inner().raise?.(floor) ?? false) }),
    release: () => wire.request(() => inner().release(), monotonicNow() + request.ttl),
  };
}

/** Returns when the turn comes, and early when the connection breaks: then it is worth another call. */
async function waitTurn(inner: () => Claim, wire: Wire, signal: Signal): Promise<void> {
  const aborter = new AbortController();
  const turn = wire.request(() => inner().waitTurn?.(aborter.signal) ?? Promise.resolve());
  const stop = new Promise<void>((resolve) => {
    aborter.signal.addEventListener("abort", () => resolve());
  });
  const abort = (): void => aborter.abort();
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    await Promise.race([turn, stop]);
  } catch {
    return;
  } finally {
    signal.removeEventListener("abort", abort);
    abort();
    turn.catch(() => {});
  }
}

function gone(options?: { readonly noEffect: boolean }): LockBackendError {
  return new LockBackendError("the connection is gone", { retryable: true, ...options });
}
