import type { Cell } from "./cell.js";
import type { Least } from "./doubts.js";

/** Less than that proves nothing, however slow the machine. */
export const leastInShort: Least = { sections: 200, faults: 3 };

/** What is run with every change, by backend. Each safety line has a cell or a test that notices when it is missing: see `sabotage.mjs`. */
export const shortCells: Readonly<Record<string, readonly Cell[]>> = {
  redis: [
    { nemesis: "none", seconds: 6 },
    { nemesis: "holder-paused", seconds: 16 },
    { nemesis: "replies-frozen,holder-paused", seconds: 16 },
    { nemesis: "late-then-frozen", seconds: 16 },
    { nemesis: "killed-unheard", seconds: 16 },
    { nemesis: "select-denied", seconds: 8 },
    { nemesis: "answers-slow", seconds: 12 },
    { nemesis: "all", seconds: 16 },
  ],
  zookeeper: [
    { nemesis: "none", seconds: 10 },
    { nemesis: "waiter-killed", seconds: 16 },
    { nemesis: "follower-cut-off", seconds: 16 },
    { nemesis: "all", seconds: 20 },
  ],
  "redis-quorum": [{ nemesis: "all", seconds: 20 }],
  "redis-sentinel": [{ nemesis: "promoted-behind", seconds: 20 }],
  "redis-cluster": [{ nemesis: "all", seconds: 16 }],
  postgres: [{ nemesis: "all", seconds: 20 }],
  "postgres-for-update": [{ nemesis: "all", seconds: 16 }],
  "postgres-advisory": [{ nemesis: "all", seconds: 16 }],
  "postgres-pgbouncer": [{ nemesis: "all", seconds: 14 }],
  "postgres-roles": [{ nemesis: "none", seconds: 6 }],
  "postgres-search-path": [{ nemesis: "search-path-set", seconds: 8 }],
  mariadb: [
    { nemesis: "summer-time-ends,summer-time-begins", seconds: 14 },
    { nemesis: "all", seconds: 20 },
  ],
  "mariadb-for-update": [{ nemesis: "all", seconds: 14 }],
  "mariadb-advisory": [{ nemesis: "all", seconds: 14 }],
  sqlite: [{ nemesis: "all", seconds: 12 }],
};
