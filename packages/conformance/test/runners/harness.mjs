import { memoryProvider, memoryStore } from "@dlock/core/memory";

const store = memoryStore();
const { guarantees } = memoryProvider();

/** As little as a harness can be. */
export const harness = {
  name: "memory",
  // So that the runner has something to report.
  guarantees: process.env.UNTRUE === undefined ? guarantees : { ...guarantees, exclusion: "consensus" },
  offers: ["inspect", "forceRelease", "downgrade", "raise"],
  timing: { ttl: Number(process.env.TTL ?? 200), slack: 300, deadWaiter: 1_000 },
  open: async () => ({ provider: memoryProvider({ store }), close: async () => {} }),
};
