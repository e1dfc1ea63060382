import { setTimeout as sleep } from "node:timers/promises";
import type { Claim, ClaimRequest, LeaseClaim, LockProvider } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";

/** The calls of a claim, each of which a test may delay, fail or answer itself. */
export interface Faults {
  tryAcquire?: (
    inner: () => Promise<bigint | undefined>,
    deadline: number,
    request: ClaimRequest,
  ) => Promise<bigint | undefined>;
  waitTurn?: ((inner: (signal: AbortSignal) => Promise<void>, signal: AbortSignal) => Promise<void>) | "left out";
  renew?: (inner: (ttl?: number) => Promise<boolean>, ttl: number) => Promise<boolean>;
  release?: (inner: () => Promise<void>, request: ClaimRequest) => Promise<void>;
  claim?: (request: ClaimRequest, inner: () => Claim) => Claim;
}

/** Locks over a provider that obeys every law until a test says otherwise. */
export function faulty(
  faults: Faults,
  inner: LockProvider = memoryProvider(),
): LockProvider & { claims: ClaimRequest[] } {
  const claims: ClaimRequest[] = [];
  return {
    claims,
    guarantees: inner.guarantees,
    inspect: (key) => inner.inspect!(key),
    claim(request) {
      claims.push(request);
      if (faults.claim) return faults.claim(request, () => inner.claim(request));
      const claim = inner.claim(request) as LeaseClaim;
      const wrapped: LeaseClaim = {
        tryAcquire: (deadline) =>
          faults.tryAcquire?.(() => claim.tryAcquire(deadline), deadline, request) ?? claim.tryAcquire(deadline),
        renew: (ttl) => faults.renew?.((other = ttl) => claim.renew(other), ttl) ?? claim.renew(ttl),
        release: () => faults.release?.(() => claim.release(), request) ?? claim.release(),
      };
      if (faults.waitTurn !== "left out") {
        const custom = faults.waitTurn;
        wrapped.waitTurn = (signal) =>
          custom?.((s) => claim.waitTurn!(s), signal as AbortSignal) ?? claim.waitTurn!(signal);
      }
      return wrapped;
    },
  };
}

/** Waits until the condition holds, with a deadline. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition()); await sleep(2)) {
    if (performance.now() > end) throw new Error(`still not so after ${ms} ms: ${condition.toString()}`);
  }
}

/** A promise and its settling functions. */
export function deferred<Value = void>(): {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: Value) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<Value>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

export const never = <Value>(): Promise<Value> => new Promise(() => {});
