import type { ClaimRequest, Guarantees, LeaseClaim, LockProvider, LockStatus } from "@dlock/core";
import { monotonicNow, requireModes } from "@dlock/core";
import type { Database, Patience } from "./database.js";
import type { LeaseTable } from "./lease-table.js";
import { VersionClaim } from "./version-claim.js";

export interface SqlProvider extends LockProvider {
  /** Creates the table, which the first call would do anyway. Harmless when repeated, also by several processes at once. */
  createSchema(): Promise<void>;
  claim(request: ClaimRequest): LeaseClaim;
  inspect(key: string): Promise<LockStatus>;
  forceRelease(key: string): Promise<boolean>;
  connect(): Promise<void>;
  close(): Promise<void>;
}

const guarantees: Guarantees = {
  exclusion: "host",
  failover: "none",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "none",
  waiting: "poll",
  modes: ["exclusive"],
};

/** The `version` strategy. */
export class LeaseProvider implements SqlProvider {
  readonly guarantees: Guarantees = guarantees;
  readonly #database: Database;
  readonly #table: LeaseTable;

  constructor(database: Database, table: LeaseTable) {
    this.#database = database;
    this.#table = table;
  }

  claim(request: ClaimRequest): LeaseClaim {
    requireModes(guarantees, request);
    return new VersionClaim(this.#table, request);
  }

  async inspect(key: string): Promise<LockStatus> {
    const holder = await this.#table.holder(key, patience());
    return { key, holders: holder === undefined ? [] : [holder], waiters: [] };
  }

  forceRelease(key: string): Promise<boolean> {
    return this.#table.evict(key, patience());
  }

  createSchema(): Promise<void> {
    return this.#table.create(patience());
  }

  connect(): Promise<void> {
    return this.#table.prepare(patience());
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

/** As long as core waits for a backend by default. */
function patience(): Patience {
  return { until: monotonicNow() + 10_000 };
}
