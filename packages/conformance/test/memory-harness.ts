import type { LockProvider } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import type { Harness } from "@dlock/conformance";
import { wholeAndInParts } from "./aliases.js";
import { Network } from "./network.js";

/** The memory provider, with a wire between each peer and the store; `provider` is the one at the other end. */
export function memoryHarness(): Harness & { readonly provider: LockProvider } {
  let store = memoryStore();
  let provider = memoryProvider({ store });
  const network = new Network(
    () => provider,
    (keepData) => {
      if (!keepData) store = memoryStore();
      provider = memoryProvider({ store });
    },
  );
  return {
    provider,
    name: "memory",
    guarantees: provider.guarantees,
    offers: ["inspect", "forceRelease", "raise", "downgrade"],
    // The head of the line has a second to take what it was called to.
    timing: { ttl: 300, slack: 300, deadWaiter: 1_000 },
    open: network.open,
    openLinked: network.open,
    server: network,
    aliases: [wholeAndInParts(network.open)],
    residue: async () => Array.from({ length: store.size }, (_, entry) => `entry ${entry}`),
  };
}
