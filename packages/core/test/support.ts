import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Claim, ClaimRequest, LeaseClaim, LockProvider, Signal } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";

/** The calls of a claim, each of which a test may delay, fail or answer itself. */
export interface Faults {
  tryAcquire?: (
    inner: () => Promise<bigint | undefined>,
    deadline: number,
    request: ClaimRequest,
  ) => Promise<bigint | undefined>;
  waitTurn?: ((inner: (signal: Signal) => Promise<void>, signal: Signal) => Promise<void>) | "left out";
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
      const { waitTurn } = faults;
      const turn = (signal: Signal) => claim.waitTurn!(signal);
      const wrapped: LeaseClaim = {
        waitTurn: waitTurn === "left out" ? undefined : (signal) => waitTurn?.(turn, signal) ?? turn(signal),
        tryAcquire: (deadline) =>
          faults.tryAcquire?.(() => claim.tryAcquire(deadline), deadline, request) ?? claim.tryAcquire(deadline),
        renew: (ttl) => faults.renew?.((other = ttl) => claim.renew(other), ttl) ?? claim.renew(ttl),
        release: () => faults.release?.(() => claim.release(), request) ?? claim.release(),
      };
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

/** What a program of its own prints, run to its natural end. */
export function runProgram(program: string): Promise<string> {
  const args = ["--input-type=module", "-e", program];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: import.meta.dirname, timeout: 20_000 }, (error, output) =>
      error ? reject(error) : resolve(output),
    );
  });
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

export const request: ClaimRequest = {
  key: "k",
  id: "1",
  owner: "o",
  ttl: 1_000,
  mode: "exclusive",
  limit: 1,
  join: false,
};

export const never = <Value>(): Promise<Value> => new Promise(() => {});
