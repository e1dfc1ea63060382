import type { Claim, LockProvider } from "@dlock/core";

export interface Counted {
  readonly provider: LockProvider;
  /** How often a method of a claim was called. */
  calls(method: "tryAcquire" | "waitTurn" | "renew" | "release"): number;
}

/** The same provider, with the calls to its claims counted. */
export function counted(inner: LockProvider): Counted {
  const counts = new Map<PropertyKey, number>();
  const watch = (claim: Claim): Claim =>
    new Proxy(claim, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return (...args: unknown[]): unknown => {
          counts.set(name, (counts.get(name) ?? 0) + 1);
          return Reflect.apply(member, target, args);
        };
      },
    });
  const provider: LockProvider = { guarantees: inner.guarantees, claim: (request) => watch(inner.claim(request)) };
  return { provider, calls: (method) => counts.get(method) ?? 0 };
}
