import { monotonicNow } from "../clock.js";
import { tell } from "../emitter.js";
import { LockConfigError } from "../errors.js";
import type { Claim, ClaimRequest, LockProvider } from "../provider.js";
import { checkProvider } from "./weakest.js";

/** One call that core made to a provider or to one of its claims, when it ended. */
export interface ProviderCall {
  /** `tryAcquire`, `waitTurn`, `renew`, `release`, `raise`, `inspect` … */
  readonly call: string;
  /** Left out for calls about no key. */
  readonly key?: string | undefined;
  /** Of the claim, where it is one's. */
  readonly owner?: string | undefined;
  /** ms */
  readonly took: number;
  /** What it resolved with, unless it failed. */
  readonly result?: unknown;
  /** What it rejected with. */
  readonly error?: unknown;
}

export type ProviderListener = (call: ProviderCall) => void;

const ofProvider: readonly PropertyKey[] = ["inspect", "forceRelease", "connect"] satisfies (keyof LockProvider)[];

/** The same provider, with every call to it and to its claims reported: for metrics, traces and logs. Does not close it. */
export function observe(provider: LockProvider, listener: ProviderListener): LockProvider {
  checkProvider("provider", provider);
  if (typeof listener !== "function") throw new LockConfigError("listener", listener, "a function");
  return new Proxy(provider, {
    get(target, name) {
      if (name === "close") return undefined;
      if (name === "claim") return (request: ClaimRequest) => observeClaim(target.claim(request), request, listener);
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (!ofProvider.includes(name)) return member.bind(target) as unknown;
      return report(target, member, listener, (key) => ({ call: String(name), key: key as string | undefined }));
    },
    has: (target, name) => name !== "close" && Reflect.has(target, name),
  });
}

function observeClaim(claim: Claim, { key, owner }: ClaimRequest, listener: ProviderListener): Claim {
  return new Proxy(claim, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      // Asked for at any time, and answered at once.
      if (name === "certainUntil") return member.bind(target) as unknown;
      return report(target, member, listener, () => ({ call: String(name), key, owner }));
    },
  });
}

function report(
  target: object,
  method: Function,
  listener: ProviderListener,
  about: (first: unknown) => Pick<ProviderCall, "call" | "key" | "owner">,
): (...args: unknown[]) => Promise<unknown> {
  return async (...args) => {
    const since = monotonicNow();
    const end = (outcome: Pick<ProviderCall, "result" | "error">): void =>
      tell(listener, { ...about(args[0]), took: monotonicNow() - since, ...outcome });
    try {
      const result: unknown = await Reflect.apply(method, target, args);
      end({ result });
      return result;
    } catch (error) {
      end({ error });
      throw error;
    }
  };
}
