import assert from "node:assert/strict";
import { createRequire } from "node:module";
import * as core from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { conformance } from "@dlock/conformance";
import { redisProvider } from "@dlock/redis";

for (const where of ["memory:", "sqlite:./locks.db", memoryProvider()]) {
  const locks = await core.createLocks(where);
  const sold = await locks.withLock("stock:42", (lock) => lock.fencingToken > 0n);
  assert.equal(sold, true);
  await locks.close();
}
assert.equal(typeof conformance, "function");
await redisProvider({ url: "redis://localhost" }).close();

const required = createRequire(import.meta.url)("@dlock/core");
assert.equal(required.LockError, core.LockError, "one copy, whichever way it is loaded");
