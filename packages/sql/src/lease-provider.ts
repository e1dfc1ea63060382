import type { ClaimRequest, Guarantees, LeaseClaim, LockStatus } from "@dlock/core";
import { monotonicNow, requireModes } from "@dlock/core";
import type { Announcements } from "./announcements.js";
import type { Patience } from "./database.js";
import type { LeaseTable } from "./lease-table.js";
import type { VersionProvider } from "./sql-provider.js";
import { VersionClaim } from "./version-claim.js";
import { type Pace, Watch } from "./watch.js";

/** Of those who are told when to look. */
const paceWhenTold: Pace = { shortest: 2_000, longest: 2_000 };

/** The `version` strategy. */
export class LeaseProvider implements VersionProvider {
  readonly guarantees: Guarantees;
  readonly #table: LeaseTable;
  readonly #watch: Watch;

  readonly #announcements: Announcements | undefined;

  constructor(table: LeaseTable, guarantees: Guarantees, pace: Pace, announcements?: Announcements) {
    this.guarantees = guarantees;
    this.#table = table;
    this.#announcements = announcements;
    this.#watch = new Watch((keys, until) => this.#look(keys, until, pace), pace);
  }

  claim(request: ClaimRequest): LeaseClaim {
    requireModes(this.guarantees, request);
    return new VersionClaim(this.#table, this.#watch, request);
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

  async connect(): Promise<void> {
    await this.#table.reach(patience());
    await this.#announcements?.check();
  }

  close(): Promise<void> {
    return this.#table.close();
  }

  #look(keys: readonly string[], until: number, pace: Pace): Promise<ReadonlyMap<string, number>> {
    this.#announcements?.tell({
      heard: (key) => this.#watch.wake(key),
      // Once it is heard from, whatever happened before is looked at once more.
      listening: (listens) => (this.#watch.pace = listens ? paceWhenTold : pace),
    });
    return this.#table.remaining(keys, { until });
  }
}

/** As long as core waits for a backend by default. */
function patience(): Patience {
  return { until: monotonicNow() + 10_000 };
}
