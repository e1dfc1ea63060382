import {
  type ClaimRequest,
  type FencingToken,
  type HolderStatus,
  LockConfigError,
  type LockMode,
  monotonicNow,
  pause,
} from "@dlock/core";
import { companyGone, companyOf, isCompany, isShared, judge, type Occupancy } from "./company.js";
import type { Bindings, Patience, Reply, Row } from "./database.js";
import type { HolderDialect } from "./holder-dialect.js";
import type { Leases } from "./leases.js";
import { type LeaseTable, text } from "./lease-table.js";
import { ServerClock } from "./server-clock.js";

/** A lease that is locked while it looks the same so many times is locked by a transaction. */
const enough = 4;
const sweepEvery = 32;
/** The claim of nobody, to whom all are others. */
const everybody = "";

type Asking = Pick<ClaimRequest, "key" | "id">;

/**
 * Those who share leases: a row each, with a time of its own. The lease is that of their company, and lasts as long as the
 * last one of them: hence whoever wants it alone need not know of them.
 */
export class HolderTable implements Leases {
  readonly #leases: LeaseTable;
  readonly #sql: HolderDialect;
  readonly #clock = new ServerClock();
  #exits = 0;

  constructor(leases: LeaseTable, sql: HolderDialect) {
    this.#leases = leases;
    this.#sql = sql;
  }

  async create(patience: Patience): Promise<void> {
    for (const statement of this.#sql.schema) await this.#leases.query(statement, {}, patience);
    // It could not be prepared when the connection was opened, and the first renewal has no round trip to lose.
    await this.#leases.query(this.#sql.renew, { key: "", claim: "nobody", ttl: 1 }, patience);
  }

  async take(request: ClaimRequest, patience: Patience): Promise<{ readonly token: FencingToken | undefined }> {
    let tried = false;
    for (let [same, before] = [0, ""]; ;) {
      const seen = await this.#look(request, patience);
      if (seen.token !== undefined) {
        if (await this.renew(request, request.ttl, patience)) return { token: seen.token };
        continue;
      }
      const { join } = judge(request, seen);
      const state = `${seen.version} ${seen.expires}`;
      same = state === before ? same + 1 : 0;
      before = state;
      if (join === undefined || same === enough || monotonicNow() >= patience.until) {
        if (tried) await this.withdraw(request, patience);
        return { token: undefined };
      }
      tried = true;
      const [ttl, deadline] = [Math.ceil(request.ttl), this.#clock.at(patience.until)];
      const bindings = {
        ...this.#bindings(request),
        ...asSeen(seen),
        company: join,
        owner: request.owner,
        ttl,
        deadline,
      };
      const token = await this.#sql.join((sql, values) => this.#query(sql, values, patience), bindings);
      if (token !== undefined) return { token };
      // Somebody else was faster: what is left may still do.
      await pause(Math.random() * 2 ** same, { background: false });
    }
  }

  async renew(request: ClaimRequest, ttl: number, patience: Patience, how = { shorter: false }): Promise<boolean> {
    const bindings = { ...this.#bindings(request), ttl: Math.ceil(ttl) };
    if ((await this.#query(this.#sql.renew, bindings, patience)).affected === 0) return false;
    if (how.shorter) await this.#settle(request, patience);
    return true;
  }

  async raise(request: ClaimRequest, floor: FencingToken, patience: Patience): Promise<boolean> {
    const bindings = { ...this.#bindings(request), floor: String(floor) };
    return (await this.#query(this.#sql.raise, bindings, patience)).affected > 0;
  }

  /** Of a claim that holds alone. Once more is harmless. */
  async downgrade(request: ClaimRequest, patience: Patience): Promise<boolean> {
    const company = companyOf({ ...request, mode: "shared" });
    const run = (sql: string, values: Bindings) => this.#query(sql, values, patience);
    if (await this.#sql.downgrade(run, { ...this.#bindings(request), company })) return true;
    if ((await this.#look(request, patience)).token !== undefined) return true;
    await this.withdraw(request, patience);
    return false;
  }

  /** The lease then ends with the last of those who stay. */
  async giveUp(request: ClaimRequest, patience: Patience): Promise<void> {
    await this.withdraw(request, patience);
    await this.#settle(request, patience);
    if (++this.#exits % sweepEvery === 0) await this.#query(this.#sql.sweep, {}, patience).catch(() => {});
  }

  /** Lets the lease end with the last of its company, of which somebody left or will leave sooner. */
  async #settle({ key }: ClaimRequest, patience: Patience): Promise<void> {
    for (let tries = 0; ; tries++) {
      const seen = await this.#look({ key, id: everybody }, patience);
      if (!isCompany(seen.claim)) break;
      const left = seen.others > 0;
      const ends = left ? seen.last : companyGone;
      if (seen.expires === ends) break;
      const settled = {
        ...asSeen(seen),
        key: this.#leases.stored(key),
        claim: left ? seen.claim : "",
        ends: String(ends),
      };
      if ((await this.#query(this.#sql.settle, settled, patience)).affected > 0) break;
      await pause(Math.random() * Math.min(2 ** tries, 64), { background: false });
    }
  }

  /** Readers that come now do not go before the claim, for `ttl` ms. */
  async wait(request: ClaimRequest, ttl: number, patience: Patience): Promise<void> {
    await this.#query(this.#sql.wait, { ...this.#bindings(request), ttl }, patience);
  }

  /** Without regard to the lease: for one that does not hold. */
  async withdraw(request: ClaimRequest, patience: Patience): Promise<void> {
    await this.#query(this.#sql.leave, this.#bindings(request), patience);
  }

  async holders(key: string, company: string, patience: Patience): Promise<readonly HolderStatus[]> {
    const { rows } = await this.#query(this.#sql.holders, { key: this.#leases.stored(key), company }, patience);
    const mode: LockMode = isShared(company) ? "shared" : "exclusive";
    return rows.map((row) => ({
      owner: text(row["owner"]),
      mode,
      fencingToken: BigInt(text(row["token"])),
      expiresIn: Number(row["remaining"]),
    }));
  }

  /** By stored keys. */
  async occupancies(keys: readonly string[], patience: Patience): Promise<ReadonlyMap<string, Occupancy>> {
    const { rows } = await this.#query(this.#sql.look, { keys, claim: everybody }, patience);
    return new Map(rows.map((row) => [text(row["key"]), occupancyOf(row)]));
  }

  /** ms until a claim of these terms may enter, unless somebody goes earlier. */
  left(request: ClaimRequest, seen: Occupancy): number {
    try {
      const { until } = judge(request, seen);
      return until === undefined ? 0 : Number(until - seen.clock) / Number(this.#sql.perMs);
    } catch (error) {
      // It is told so when it asks.
      if (error instanceof LockConfigError) return 0;
      throw error;
    }
  }

  async #look(request: Asking, patience: Patience): Promise<Occupancy> {
    const { key, claim } = this.#bindings(request);
    for (;;) {
      const askedAt = monotonicNow();
      const [row] = (await this.#query(this.#sql.look, { keys: [key], claim }, patience)).rows;
      if (row !== undefined) {
        const seen = occupancyOf(row);
        this.#clock.learn(Number(seen.clock), askedAt);
        return seen;
      }
      await this.#query(this.#sql.found, { key }, patience);
    }
  }

  #bindings({ key, id }: Asking): { readonly key: string; readonly claim: string } {
    return { key: this.#leases.stored(key), claim: id };
  }

  #query(sql: string, bindings: Bindings, patience: Patience): Promise<Reply> {
    return this.#leases.query(sql, bindings, patience, (again) => this.create(again));
  }
}

function asSeen({ claim, version, expires }: Occupancy) {
  return { seen: claim, version: String(version), until: String(expires) };
}

function occupancyOf(row: Row): Occupancy {
  const number = (column: string) => BigInt(text(row[column] ?? 0));
  return {
    claim: text(row["claim"]),
    version: number("version"),
    expires: number("expires"),
    clock: number("clock"),
    others: Number(row["others"]),
    first: number("first"),
    last: number("last"),
    writers: number("writers"),
    token: row["token"] === null ? undefined : number("token"),
  };
}
