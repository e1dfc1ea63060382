import { LockBackendError, LockConfigError, type LockError } from "@dlock/core";
import type { LockKeys } from "./keys.js";
import { otherLimit, otherType } from "./scripts/value.js";

const refused = new RegExp(`^(${otherLimit}|${otherType}) (\\S+)`);

/** What a script refused to do, because the lock's name is in use for something else; `undefined`: it failed in another way. */
export function refusal(
  error: unknown,
  { names: [name = ""] }: LockKeys,
  { key, limit }: { readonly key: string; readonly limit?: number | undefined },
): LockError | undefined {
  const [, kind, used = ""] = refused.exec(error instanceof Error ? error.message : "") ?? [];
  if (kind === otherLimit)
    return new LockConfigError("limit", limit, `${used}, which others use for this key at present`, key, error);
  if (kind !== otherType) return undefined;
  const message = `there is no lock "${key}": ${JSON.stringify(name)} in redis is a ${used} of somebody else (WRONGTYPE), which stays as it is; another namespace keeps them apart`;
  return new LockBackendError(message, { key, cause: error, retryable: false, noEffect: true });
}

/** Whether the lock's name has a value that is no lock of anybody. */
export function isOtherType(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith(`${otherType} `);
}
