import { isRetryable, LockBackendError } from "../errors.js";
import type { LockProvider } from "../provider.js";

export interface Member {
  readonly name: string;
  readonly provider: LockProvider;
}

/** The members of a quorum, and how they decide. */
export interface Electorate {
  readonly members: readonly Member[];
  /** How many of them are a majority. */
  readonly needed: number;
  /** ms that one call to one member may take, for a lock of this ttl. */
  readonly patience: (ttl: number | undefined) => number;
  /** Whether all of them can raise their tokens. */
  readonly fences: boolean;
}

/** Too few answered: who did not, by their places among `asked`, and why. */
export function noMajority(
  asked: readonly Pick<Member, "name">[],
  needed: number,
  failed: ReadonlyMap<number, unknown>,
  key?: string,
): LockBackendError {
  const silent = [...failed].map(([place, error]) => `${asked[place]?.name} (${messageOf(error)})`);
  const about = key === undefined ? "" : ` about "${key}"`;
  const message = `${asked.length - failed.size} of ${asked.length} members answered${about}, ${needed} are needed; no answer from ${silent.join(", ")}`;
  const errors = [...failed.values()];
  return new LockBackendError(message, {
    key,
    cause: new AggregateError(errors, message),
    retryable: errors.some(isRetryable),
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
