const { createLocks, LockConfigError } = require("@dlock/core");

test("a CommonJS test requires dlock", async () => {
  const locks = await createLocks("memory:");
  expect(await locks.withLock("stock:42", () => "sold")).toBe("sold");
  await expect(locks.acquire("")).rejects.toBeInstanceOf(LockConfigError);
  await locks.close();
});
