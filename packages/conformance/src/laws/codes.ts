import assert from "node:assert/strict";
import type { LockErrorCode } from "@dlock/core";

/** By code, not by class: an adapter may bring a copy of core of its own. */
export function hasCode(code: LockErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Error && "code" in error, `expected ${code}, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}
