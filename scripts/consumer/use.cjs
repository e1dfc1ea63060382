const assert = require("node:assert/strict");
const { createLocks } = require("@dlock/core");
const { memoryProvider } = require("@dlock/core/memory");
const { sqlProvider } = require("@dlock/sql");
const { redisProvider } = require("@dlock/redis");
const { conformance } = require("@dlock/conformance");

async function main() {
  for (const where of ["memory:", "sqlite:./locks.db", memoryProvider()]) {
    const locks = await createLocks(where);
    const sold = await locks.withLock("stock:42", (lock) => lock.fencingToken > 0n);
    assert.equal(sold, true);
    await locks.close();
  }
  assert.equal(typeof sqlProvider, "function");
  assert.equal(typeof conformance, "function");
  await redisProvider({ url: "redis://localhost" }).close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
