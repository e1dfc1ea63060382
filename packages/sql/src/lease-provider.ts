import type { ClaimRequest, Guarantees, LeaseClaim, LockStatus } from "@dlock/core";
import { monotonicNow, requireModes } from "@dlock/core";
import type { Announcements } from "./announcements.js";
import type { Occupancy } from "./company.js";
import type { Patience } from "./database.js";
import type { HolderTable } from "./holder-table.js";
import type { LeaseTable } from "./lease-table.js";
import type { VersionProvider } from "./sql-provider.js";
import { VersionClaim } from "./version-claim.js";
import { type Look, type Pace, Watch } from "./watch.js";

/** Of those who are told when to look. */
const paceWhenTold: Pace = { shortest: 2_000, longest: 2_000 };

/** The `version` strategy. */
export class LeaseProvider implements VersionProvider {
  readonly guarantees: Guarantees;
  readonly #table: LeaseTable;
  readonly #holders: HolderTable;
  /** Of those who want a lease alone: they need not look at who shares it. */
  readonly #watch: Watch;
  /** Of those who would share. */
  readonly #companies: Watch<Occupancy>;
  readonly #announcements: Announcements | undefined;
  readonly #pace: Pace;

  constructor(
    table: LeaseTable,
    holders: HolderTable,
    guarantees: Guarantees,
    pace: Pace,
    announcements?: Announcements,
  ) {
    this.guarantees = guarantees;
    this.#table = table;
    this.#holders = holders;
    this.#announcements = announcements;
    this.#pace = pace;
    this.#watch = new Watch(
      this.#told((keys, until) => table.remaining(keys, { until })),
      pace,
    );
    this.#companies = new Watch(
      this.#told((keys, until) => holders.occupancies(keys, { until })),
      pace,
    );
  }

  claim(request: ClaimRequest): LeaseClaim {
    requireModes(this.guarantees, request);
    const parts = { leases: this.#table, holders: this.#holders, watch: this.#watch, companies: this.#companies };
    return new VersionClaim(parts, request);
  }

  /** Sees to it that the tables are there. */
  prepare(until: number): Promise<void> {
    return this.#table.prepare({ until });
  }

  async inspect(key: string): Promise<LockStatus> {
    const holder = await this.#table.holder(key, patience());
    if (holder === undefined) return { key, holders: [], waiters: [] };
    const holders =
      "company" in holder ? await this.#holders.holders(key, holder.company, patience()) : ([holder] as const);
    return { key, holders, waiters: [] };
  }

  forceRelease(key: string): Promise<boolean> {
    return this.#table.evict(key, patience());
  }

  async createSchema(): Promise<void> {
    await this.#table.create(patience());
    await this.#holders.create(patience());
  }

  async connect(): Promise<void> {
    await this.#table.reach(patience());
    await this.#announcements?.check();
  }

  close(): Promise<void> {
    return this.#table.close();
  }

  /** A look that sees to it that looking is worth less from then on. */
  #told<Seen>(look: Look<Seen>): Look<Seen> {
    const watches = () => [this.#watch, this.#companies];
    return (keys, until) => {
      this.#announcements?.tell({
        heard: (key) => watches().forEach((watch) => watch.wake(key)),
        // Once it is heard from, whatever happened before is looked at once more.
        listening: (listens) => watches().forEach((watch) => (watch.pace = listens ? paceWhenTold : this.#pace)),
      });
      return look(keys, until);
    };
  }
}

/** As long as core waits for a backend by default. */
function patience(): Patience {
  return { until: monotonicNow() + 10_000 };
}
