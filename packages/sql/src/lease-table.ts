import { type ClaimRequest, type FencingToken, type HolderStatus, LockConfigError, monotonicNow } from "@dlock/core";
import type { Bindings, Database, Patience, Reply } from "./database.js";
import type { VersionDialect } from "./dialect.js";
import { checkLimit, isCompany } from "./company.js";
import type { Leases } from "./leases.js";
import { ServerClock } from "./server-clock.js";
import { codeOf } from "./server-failure.js";

// Every so many releases one sweep: it deletes more rows than that many acquisitions can have added.
const sweepEvery = 32;

/** The table of leases: one row per key, one statement per step. Created when it is missing. */
export class LeaseTable implements Leases {
  readonly #database: Database;
  readonly #sql: VersionDialect;
  readonly #name: string;
  readonly #clock = new ServerClock();
  #ready = false;
  #releases = 0;

  constructor(database: Database, sql: VersionDialect, name: string) {
    this.#database = database;
    this.#sql = sql;
    this.#name = name;
  }

  async create(patience: Patience): Promise<void> {
    const { schema } = this.#sql;
    if (this.#database.create) await this.#database.create(schema, patience);
    else for (const statement of schema) await this.#database.query(statement, {}, patience);
    await this.#look(patience);
  }

  /** Sees to it that the table is there, and is one that this release understands. */
  async prepare(patience: Patience): Promise<void> {
    if (this.#ready) return;
    const { rows } = await this.#database.query(this.#sql.exists, {}, patience);
    if (rows.length === 0 || !(await this.#look(patience))) await this.create(patience);
    await this.#sweep();
    this.#ready = true;
  }

  /** Asks the database, whatever is known of it. */
  async reach(patience: Patience): Promise<void> {
    this.#ready = false;
    await this.prepare(patience);
  }

  async take(request: ClaimRequest, patience: Patience): ReturnType<Leases["take"]> {
    const { key, id, owner, ttl } = request;
    for (;;) {
      await this.prepare(patience);
      const [askedAt, deadline] = [monotonicNow(), this.#clock.at(patience.until)];
      const lease = { key: this.#sql.stored(key), claim: id, owner, ttl: Math.ceil(ttl), deadline };
      const { token, clock, holder } = await this.#sql.take(
        (sql, bindings) => this.query(sql, bindings, patience),
        lease,
      );
      if (clock !== undefined) this.#clock.learn(clock, askedAt);
      // Late by a clock that was set forward, or of which too little was known: until it is late here too, it is asked again.
      if (token !== undefined || clock === undefined || clock < deadline) {
        if (token === undefined && holder !== undefined) checkLimit(request, holder);
        return { token, holder };
      }
    }
  }

  async renew({ key, id }: ClaimRequest, ttl: number, patience: Patience): Promise<boolean> {
    return this.#wrote(this.#sql.renew, { key: this.#sql.stored(key), claim: id, ttl: Math.ceil(ttl) }, patience);
  }

  /** Every later token of the key exceeds `floor`; false: it is not held. */
  raise({ key, id }: ClaimRequest, floor: FencingToken, patience: Patience): Promise<boolean> {
    return this.#wrote(this.#sql.raise, { key: this.#sql.stored(key), claim: id, floor: String(floor) }, patience);
  }

  async giveUp({ key, id }: ClaimRequest, patience: Patience): Promise<void> {
    await this.query(this.#sql.giveUp, { key: this.#sql.stored(key), claim: id }, patience);
    if (++this.#releases % sweepEvery === 0) await this.#sweep();
  }

  /** A key as the table has it. */
  stored(key: string): string {
    return this.#sql.stored(key);
  }

  /** Of stored keys: ms until each lease ends unless it is renewed; zero or less, or left out: it is free. */
  async remaining(keys: readonly string[], patience: Patience): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.query(this.#sql.remaining, { keys }, patience);
    return new Map(rows.map((row) => [text(row["key"]), Number(row["remaining"])]));
  }

  /** Whoever has the lease, or the company of those who share it. */
  async holder(key: string, patience: Patience): Promise<HolderStatus | { readonly company: string } | undefined> {
    const [lease] = (await this.query(this.#sql.holder, { key: this.#sql.stored(key) }, patience)).rows;
    if (lease === undefined) return undefined;
    const claim = text(lease["claim"]);
    if (isCompany(claim)) return { company: claim };
    const fencingToken = BigInt(text(lease["token"]));
    return { owner: text(lease["owner"]), mode: "exclusive", fencingToken, expiresIn: Number(lease["remaining"]) };
  }

  /** Ends the lease that it sees, and no later one, also when a statement is late. false: there is none, or none any more. */
  async evict(key: string, patience: Patience): Promise<boolean> {
    const stored = this.#sql.stored(key);
    for (let seen: string | undefined; ;) {
      const [lease] = (await this.query(this.#sql.holder, { key: stored }, patience)).rows;
      const claim = lease && text(lease["claim"]);
      if (lease === undefined || claim === undefined || (seen !== undefined && claim !== seen)) return false;
      const bindings = { key: stored, claim, version: text(lease["token"]) };
      if (await this.#wrote(this.#sql.evict, bindings, patience)) return true;
      // Its version was raised, or another reader joined it.
      seen = claim;
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #wrote(sql: string, bindings: Bindings, patience: Patience): Promise<boolean> {
    return (await this.query(sql, bindings, patience)).affected === 1;
  }

  /** One statement, on a table that is there; what is missing beside it, `create` makes. */
  async query(
    sql: string,
    bindings: Bindings,
    patience: Patience,
    create?: (patience: Patience) => Promise<void>,
  ): Promise<Reply> {
    for (;;) {
      await this.prepare(patience);
      try {
        return await this.#database.query(sql, bindings, patience);
      } catch (error) {
        if (!isMissing(error)) throw error;
        // It is made anew: it may be gone with the file it was in, or this is another server.
        this.#ready = false;
        await create?.(patience);
      }
    }
  }

  /** Whether the table has a layout: the one of this release. */
  async #look(patience: Patience): Promise<boolean> {
    const askedAt = monotonicNow();
    const { rows } = await this.#database.query(this.#sql.look, {}, patience).catch((error: unknown) => {
      if (!isForeign(error)) throw error;
      throw new LockConfigError("table", this.#name, "a table of dlock's, or a name that is free", undefined, error);
    });
    const [row] = rows;
    if (row === undefined) return false;
    if (row["clock"] !== undefined) this.#clock.learn(Number(row["clock"]), askedAt);
    const [found, { layout }] = [Number(row["layout"]), this.#sql];
    if (found === layout) return true;
    const accepted = `a table of layout ${layout}, or a release of @dlock/sql that knows layout ${found}`;
    throw new LockConfigError("table", this.#name, accepted);
  }

  /** Tidies up: nothing depends on it. */
  async #sweep(): Promise<void> {
    const until = monotonicNow() + this.#sql.sweepFor;
    await this.#database.query(this.#sql.sweep, {}, { until }).catch(() => {});
  }
}

export function text(value: unknown): string {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

/** A column is not there. */
function isForeign(error: unknown): boolean {
  const code = codeOf(error);
  return code === "42703" || code === 1054 || /no such column/.test(String(error));
}

/** The table is not there any more, and nothing was done. */
function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "42P01" || code === 1146 || /no such table/.test(String(error));
}
