// Written by scripts/guarantees.mjs from the providers themselves: "npm run generate".
import type { Guarantees } from "./guarantees.js";

/** What every backend that dlock knows guarantees, the fastest first. */
export const knownBackends: readonly { readonly name: string; readonly guarantees: Guarantees }[] = [
  {
    name: "memory",
    guarantees: {
      exclusion: "process",
      failover: "none",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "fifo",
      waiting: "push",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "redis",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "fifo",
      waiting: "push",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "redis+sentinel",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "fifo",
      waiting: "push",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "redis+cluster",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "fifo",
      waiting: "push",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "redis+quorum",
    guarantees: {
      exclusion: "quorum",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "none",
      waiting: "poll",
      modes: ["exclusive", "shared"],
    },
  },
  {
    name: "zookeeper",
    guarantees: {
      exclusion: "consensus",
      failover: "keeps",
      fencing: "unless-data-and-clock-lost",
      alive: "session",
      order: "fifo",
      waiting: "push",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "postgres advisory",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "connection",
      order: "none",
      waiting: "push",
      modes: ["exclusive", "shared"],
    },
  },
  {
    name: "postgres for-update",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "connection",
      order: "none",
      waiting: "push",
      modes: ["exclusive", "shared"],
    },
  },
  {
    name: "postgres version",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "none",
      waiting: "poll",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "mysql advisory",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "connection",
      order: "none",
      waiting: "push",
      modes: ["exclusive"],
    },
  },
  {
    name: "mysql for-update",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "connection",
      order: "none",
      waiting: "push",
      modes: ["exclusive", "shared"],
    },
  },
  {
    name: "mysql version",
    guarantees: {
      exclusion: "server",
      failover: "may-forget",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "none",
      waiting: "poll",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
  {
    name: "sqlite",
    guarantees: {
      exclusion: "host",
      failover: "none",
      fencing: "unless-data-and-clock-lost",
      alive: "lease",
      order: "none",
      waiting: "poll",
      modes: ["exclusive", "shared", "semaphore"],
    },
  },
];
