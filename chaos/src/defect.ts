import type { Claim, ClaimRequest, LockProvider, ProviderFactory } from "@dlock/core";
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry } from "./entry.js";

interface Defect {
  /** What the backend is asked for instead. */
  readonly request?: (request: ClaimRequest) => ClaimRequest;
  /** What the claim does instead. */
  readonly claim?: (claim: Claim) => Partial<Claim>;
}

export const defectNames = [
  "no-exclusion",
  "one-token",
  "blind-renewal",
  "hasty-renewal",
  "no-line",
  "eternal-lease",
  "left-timer",
  "left-listener",
] as const;
export type DefectName = (typeof defectNames)[number];

let invented = 1n;
const longer = 60;
function listen(): void {}

/** What checkers have to find: a provider that is whole, but for one of these. */
const defects: Readonly<Record<DefectName, Defect>> = {
  /** Whoever asks has it. */
  "no-exclusion": {
    claim: (claim) => ({ tryAcquire: async (deadline) => (await claim.tryAcquire(deadline)) ?? (invented += 1n) }),
  },
  /** All holders have the same token. */
  "one-token": {
    claim: (claim) => ({
      tryAcquire: async (deadline) => ((await claim.tryAcquire(deadline)) === undefined ? undefined : 1n),
    }),
  },
  /** Every renewal went well, for nobody asks the backend. */
  "blind-renewal": { claim: () => ({ renew: async () => true }) },
  /** An answer that takes a third of the ttl counts for nothing, and the next renewal is no faster. */
  "hasty-renewal": {
    claim: (claim) => ({
      renew: async (ttl) => {
        const late = sleep(ttl / 3, undefined, { ref: false }).then(() => Promise.reject(new Error("too late")));
        return Promise.race([claim.renew?.(ttl) ?? true, late]);
      },
    }),
  },
  /** Who waits polls, and barges in. */
  "no-line": { request: (request) => ({ ...request, join: false }), claim: () => ({ waitTurn: undefined }) },
  /** The hold of a dead holder goes on and on. */
  "eternal-lease": { request: (request) => ({ ...request, ttl: longer * request.ttl }) },
  /** A timer that nobody clears. */
  "left-timer": {
    claim: () => {
      setTimeout(() => {}, 60_000);
      return {};
    },
  },
  /** A listener that nobody takes away. */
  "left-listener": {
    claim: () => {
      if (!process.listeners("exit").includes(listen)) process.on("exit", listen);
      return {};
    },
  },
};

/** The provider with one defect. */
export function breakOn(provider: LockProvider, name: DefectName): LockProvider {
  const defect = defects[name];
  return {
    guarantees: provider.guarantees,
    close: provider.close?.bind(provider),
    claim(request) {
      const claim = provider.claim(defect.request?.(request) ?? request);
      const changed = defect.claim?.(claim) ?? {};
      return new Proxy(claim, {
        get(_, member) {
          const holder = member in changed ? changed : claim;
          const value: unknown = Reflect.get(holder, member, holder);
          return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(holder) : value;
        },
        has: (_, member) => member in changed || member in claim,
      });
    },
  };
}

/** What `createLocks` would open, as a provider that can be broken. */
export async function openBroken(entry: Entry): Promise<LockProvider> {
  if (entry.url === undefined) throw new Error("what is broken on purpose is opened by a URL");
  const scheme = /^[a-z]+/.exec(entry.url)?.[0] ?? "";
  const adapter = scheme.startsWith("redis") ? "redis" : scheme === "zookeeper" ? "zookeeper" : "sql";
  const { createProvider } = (await import(`@dlock/${adapter}`)) as { readonly createProvider: ProviderFactory };
  return createProvider(entry, { emit() {} });
}
