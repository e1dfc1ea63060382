import type { ClaimRequest, ProviderNotice } from "@dlock/core";
import { zookeeperProvider, type ZooKeeperOptions } from "@dlock/zookeeper";
import type { ZooKeeperClaim } from "../src/zookeeper-claim.js";

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
export async function until(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition()); await sleep(3)) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition.toString()}`);
  }
}

/** A provider that is closed when its test is over, and what it reported. */
export function opener(onClose: (close: () => Promise<void>) => void) {
  return (url: string, options: ZooKeeperOptions = {}) => {
    const notices: ProviderNotice[] = [];
    const emit = (notice: ProviderNotice) => void notices.push(notice);
    const provider = zookeeperProvider({ url }, { emit, sessionTimeout: 4_000, tickTime: 100, ...options });
    onClose(() => provider.close());
    const claim = (key: string, request: Partial<ClaimRequest> = {}) =>
      provider.claim({
        id: crypto.randomUUID(),
        owner: "test",
        ttl: 20_000,
        mode: "exclusive",
        limit: 1,
        join: true,
        key,
        ...request,
      }) as Pick<ZooKeeperClaim, keyof ZooKeeperClaim>;
    return { provider, claim, notices };
  };
}

export const soon = (ms = 5_000): number => performance.now() + ms;

type Asking = Pick<ZooKeeperClaim, "tryAcquire" | "waitTurn">;

/** Asks and waits until the claim holds. */
export async function win(claim: Asking, ms = 30_000): Promise<bigint> {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), ms);
  try {
    while (!aborter.signal.aborted) {
      const token = await claim.tryAcquire(soon());
      if (token !== undefined) return token;
      await claim.waitTurn(aborter.signal);
    }
    throw new Error(`not served within ${ms} ms`);
  } finally {
    clearTimeout(timer);
  }
}
