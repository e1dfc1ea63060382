import type { Claim, ClaimRequest, FencingToken, LeaseClaim, LockProvider } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";

export interface Member extends LockProvider {
  /** `silent`: takes calls and never answers; `deaf`: does what it is asked and never answers; `down`: rejects. */
  state: "up" | "silent" | "deaf" | "down";
  /** Whether it rejects releases. */
  stuck: boolean;
  /** ms that every answer takes. */
  delay: number;
  /** What was called, as `name.tryAcquire`. */
  readonly log: string[];
  /** Of the claims that were made. */
  readonly requests: ClaimRequest[];
  /** The memory provider behind it, for a look from the side. */
  readonly inner: LockProvider;
  raise: "yes" | "no" | "left out" | "failing";
}

/** A member of a combination: the memory provider, with what can go wrong. */
export function member(
  name: string,
  { log = [] as string[], now = undefined as (() => number) | undefined } = {},
): Member {
  const inner = memoryProvider({ store: memoryStore(now ? { now } : {}) });
  const reach = async <Value>(call: string, work: () => Promise<Value>): Promise<Value> => {
    log.push(`${name}.${call}`);
    if (made.state === "down") throw Object.assign(new Error(`${name} is down`), { retryable: true });
    if (made.state === "silent") await new Promise(() => {});
    if (made.delay > 0) await new Promise((resolve) => setTimeout(resolve, made.delay));
    if (made.stuck && call === "release") throw Object.assign(new Error(`${name} is stuck`), { retryable: true });
    const value = await work();
    return made.state === "deaf" ? new Promise(() => {}) : value;
  };
  const made: Member = {
    state: "up",
    stuck: false,
    delay: 0,
    raise: "yes",
    log,
    requests: [],
    inner,
    guarantees: inner.guarantees,
    inspect: (key) => reach("inspect", () => inner.inspect!(key)),
    forceRelease: (key) => reach("forceRelease", () => inner.forceRelease!(key)),
    claim(request): LeaseClaim {
      made.requests.push(request);
      const claim = inner.claim(request) as Claim & LeaseClaim;
      return {
        tryAcquire: (deadline) => reach("tryAcquire", () => claim.tryAcquire(deadline)),
        waitTurn: (signal) => claim.waitTurn!(signal),
        renew: (ttl) => reach("renew", () => claim.renew(ttl)),
        release: () => reach("release", () => claim.release()),
        ...(made.raise !== "left out" && {
          raise: (floor: FencingToken) =>
            reach("raise", async () => {
              if (made.raise === "failing") throw Object.assign(new Error("no raise"), { retryable: true });
              return made.raise === "no" ? false : claim.raise!(floor);
            }),
        }),
      };
    },
  };
  return made;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A claim with what a test does not care about. */
export function claimOf(provider: LockProvider, request: Partial<ClaimRequest> = {}): Claim {
  return provider.claim({
    key: "k",
    id: crypto.randomUUID(),
    owner: "test",
    ttl: 1_000,
    mode: "exclusive",
    limit: 1,
    join: true,
    ...request,
  });
}

/** Who holds the key there. */
export async function holdersOf(provider: LockProvider, key = "k"): Promise<readonly string[]> {
  return ((await provider.inspect?.(key))?.holders ?? []).map(({ owner }) => owner);
}

export const soon = (ms = 2_000): number => performance.now() + ms;
