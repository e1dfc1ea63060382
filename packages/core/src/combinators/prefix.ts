import { checkKey } from "../check.js";
import type { LockProvider, LockStatus } from "../provider.js";
import { checkProvider } from "./weakest.js";

/** The same provider with a prefix before every key, so that applications which share a backend do not meet. Does not close it. */
export function prefix(provider: LockProvider, start: string): LockProvider {
  checkProvider("provider", provider);
  checkKey(start, "prefix");
  const whole = (key: string): string => checkKey(start + key);
  const own = (status: LockStatus): LockStatus => ({ ...status, key: status.key.slice(start.length) });
  const { inspect, forceRelease, list, connect } = provider;
  return {
    guarantees: provider.guarantees,
    claim: (request) => provider.claim({ ...request, key: whole(request.key) }),
    ...(inspect && { inspect: async (key: string) => own(await inspect.call(provider, whole(key))) }),
    ...(forceRelease && { forceRelease: async (key: string) => forceRelease.call(provider, whole(key)) }),
    ...(list && {
      async *list(pattern: string) {
        for await (const status of list.call(provider, start + pattern)) yield own(status);
      },
    }),
    ...(connect && { connect: () => connect.call(provider) }),
  };
}
