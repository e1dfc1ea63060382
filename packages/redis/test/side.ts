import { redisProvider, type RedisOptions } from "@dlock/redis";
import type { Claim, ClaimRequest, ProviderNotice } from "@dlock/core";

/** A name for a lock that no other test uses. */
export const name = (): string => `lock-${crypto.randomUUID().slice(0, 8)}`;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** ms that a promise takes. */
export async function took(promise: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await promise;
  return performance.now() - since;
}

/** Waits for a condition, asking every few ms. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition()); await sleep(3)) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition.toString()}`);
  }
}

/** A provider that is closed when its test is over, and what it reported. */
export function opener(onClose: (close: () => Promise<void>) => void) {
  return (where: Parameters<typeof redisProvider>[0] | string, options: RedisOptions = {}) => {
    const notices: ProviderNotice[] = [];
    const server = typeof where === "string" ? { url: where } : where;
    const provider = redisProvider(server, { emit: (notice) => void notices.push(notice), ...options });
    onClose(() => provider.close());
    const claim = (key: string, request: Partial<ClaimRequest> = {}): Claim =>
      provider.claim({
        id: crypto.randomUUID(),
        owner: "test",
        ttl: 20_000,
        mode: "exclusive",
        limit: 1,
        join: true,
        key,
        ...request,
      });
    return { provider, claim, notices };
  };
}

export const soon = (ms = 5_000): number => performance.now() + ms;

/** Asks and waits until the claim holds. */
export async function win(claim: Claim, ms = 30_000): Promise<bigint> {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), ms);
  try {
    while (!aborter.signal.aborted) {
      const token = await claim.tryAcquire(soon());
      if (token !== undefined) return token;
      await (claim.waitTurn ? claim.waitTurn(aborter.signal) : sleep(20));
    }
    throw new Error(`not served within ${ms} ms`);
  } finally {
    clearTimeout(timer);
  }
}
