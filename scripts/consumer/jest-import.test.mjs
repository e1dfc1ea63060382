import { createLocks, LockConfigError } from "@dlock/core";

test.each(["memory:", "sqlite:./locks.db"])("an ES module test imports dlock (%s)", async (where) => {
  const locks = await createLocks(where);
  expect(await locks.withLock("stock:42", () => "sold")).toBe("sold");
  await expect(locks.acquire("")).rejects.toBeInstanceOf(LockConfigError);
  await locks.close();
});
