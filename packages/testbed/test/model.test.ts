import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { modelCheck } from "@dlock/testbed";
import { expect, test } from "vitest";

test(
  "memory: readers, writers and permits do what the model does, in thousands of random schedules",
  { timeout: 120_000 },
  async () => {
    const store = memoryStore();
    await modelCheck({ providers: [memoryProvider({ store }), memoryProvider({ store })], count: 5_000, seed: 1 });
    expect(store.size).toBe(0);
  },
);

test("a backend that forgets who waits, or how many may hold, differs from the model", async () => {
  for (const spoil of [{ join: false }, { limit: 5 }] as const) {
    const inner = memoryProvider();
    const provider = {
      ...inner,
      guarantees: inner.guarantees,
      claim: (request: Parameters<typeof inner.claim>[0]) =>
        inner.claim({ ...request, ...(request.mode === "shared" && "limit" in spoil ? {} : spoil) }),
    };
    await expect(modelCheck({ providers: [provider, provider], count: 500, seed: 1 })).rejects.toThrow(/differ/);
  }
});
