import type { LockErrorCode } from "@dlock/core";

/** By code, not by class: an adapter may bring a copy of core of its own. */
export function hasCode(code: LockErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}
