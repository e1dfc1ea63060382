test.each(["memory:", "sqlite:./locks.db"])("a CommonJS test imports dlock when it runs (%s)", async (where) => {
  const { createLocks, LockConfigError } = await import("@dlock/core");
  const locks = await createLocks(where);
  expect(await locks.withLock("stock:42", () => "sold")).toBe("sold");
  await expect(locks.acquire("")).rejects.toBeInstanceOf(LockConfigError);
  await locks.close();
});
