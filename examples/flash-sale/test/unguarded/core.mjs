import { createLocks as create } from "@dlock/core";

export * from "@dlock/core";

export function createLocks(_where, options) {
  return create(everybodyHolds, options);
}

const everybodyHolds = {
  guarantees: {
    exclusion: "host",
    failover: "none",
    fencing: "always",
    alive: "lease",
    order: "none",
    waiting: "poll",
    modes: ["exclusive"],
  },
  claim: () => ({
    tryAcquire: async () => process.hrtime.bigint(),
    renew: async () => true,
    release: async () => {},
  }),
};
