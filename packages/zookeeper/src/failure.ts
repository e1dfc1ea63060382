import { LockBackendError, LockError } from "@dlock/core";
import { type Failure, ZooKeeperError } from "./session.js";

/** What will not get better by trying again. */
const final: readonly Failure[] = ["NO_AUTH", "AUTH_FAILED", "INVALID_ACL", "BAD_ARGUMENTS", "UNIMPLEMENTED", "CLOSED"];

/** What a session rejected with, as an error of dlock. */
export function failure(error: unknown, key?: string): LockError {
  if (error instanceof LockError) return error;
  const about = key === undefined ? "" : ` about "${key}"`;
  const said = error instanceof Error ? error.message : String(error);
  const known = error instanceof ZooKeeperError ? error : undefined;
  return new LockBackendError(`zookeeper failed${about}: ${said}`, {
    key,
    cause: error,
    retryable: known !== undefined && !final.includes(known.reason),
    noEffect: known?.noEffect,
  });
}

export function failedWith(error: unknown, ...reasons: readonly Failure[]): boolean {
  return error instanceof ZooKeeperError && reasons.includes(error.reason);
}
