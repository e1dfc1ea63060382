import { type ClaimRequest, type FencingToken, type HolderStatus, LockConfigError, monotonicNow } from "@dlock/core";
import type { Bindings, Database, Patience, Row } from "./database.js";
import type { VersionDialect } from "./dialect.js";
import { layout } from "./sqlite-dialect.js";

// Every so many releases one sweep: it deletes more rows than that many acquisitions can have added.
const sweepEvery = 32;

/** The table of leases: one row per key, one statement per step. Created when it is missing. */
export class LeaseTable {
  readonly #database: Database;
  readonly #sql: VersionDialect;
  readonly #name: string;
  #ready = false;
  #releases = 0;

  constructor(database: Database, sql: VersionDialect, name: string) {
    this.#database = database;
    this.#sql = sql;
    this.#name = name;
  }

  async create(patience: Patience): Promise<void> {
    for (const statement of this.#sql.schema) await this.#database.query(statement, {}, patience);
    await this.#checkLayout(patience);
  }

  /** Sees to it that the table is there, and is one that this release understands. */
  async prepare(patience: Patience): Promise<void> {
    if (this.#ready) return;
    const [found] = await this.#database.query(this.#sql.exists, {}, patience);
    if (found === undefined || (await this.#checkLayout(patience)) === undefined) await this.create(patience);
    await this.#sweep();
    this.#ready = true;
  }

  async take({ key, id, owner, ttl }: ClaimRequest, patience: Patience): Promise<FencingToken | undefined> {
    const [lease] = await this.#query(this.#sql.take, { key, claim: id, owner, ttl: Math.ceil(ttl) }, patience);
    return lease === undefined ? undefined : token(lease);
  }

  async renew({ key, id }: ClaimRequest, ttl: number, patience: Patience): Promise<boolean> {
    return (await this.#query(this.#sql.renew, { key, claim: id, ttl: Math.ceil(ttl) }, patience)).length === 1;
  }

  async giveUp({ key, id }: ClaimRequest, patience: Patience): Promise<void> {
    await this.#query(this.#sql.giveUp, { key, claim: id }, patience);
    if (++this.#releases % sweepEvery === 0) await this.#sweep();
  }

  /** ms until the lease ends unless it is renewed; zero or less: it is free. */
  async remaining(key: string, patience: Patience): Promise<number> {
    const [lease] = await this.#query(this.#sql.remaining, { key }, patience);
    return Number(lease?.["remaining"] ?? 0);
  }

  async holder(key: string, patience: Patience): Promise<HolderStatus | undefined> {
    const [lease] = await this.#query(this.#sql.holder, { key }, patience);
    if (lease === undefined) return undefined;
    const expiresIn = Number(lease["remaining"]);
    return { owner: String(lease["owner"]), mode: "exclusive", fencingToken: token(lease), expiresIn };
  }

  /** Whether there was somebody to evict. */
  async evict(key: string, patience: Patience): Promise<boolean> {
    return (await this.#query(this.#sql.evict, { key }, patience)).length === 1;
  }

  async #query(sql: string, bindings: Bindings, patience: Patience): Promise<readonly Row[]> {
    await this.prepare(patience);
    try {
      return await this.#database.query(sql, bindings, patience);
    } catch (error) {
      // The table may be gone, with the file it was in.
      this.#ready = false;
      throw error;
    }
  }

  async #checkLayout(patience: Patience): Promise<number | undefined> {
    const [row] = await this.#database.query(this.#sql.layout, {}, patience).catch((error: unknown) => {
      if (!/no such column/.test(String(error))) throw error;
      throw new LockConfigError("table", this.#name, "a table of dlock's, or a name that is free", undefined, error);
    });
    if (row === undefined) return undefined;
    const found = Number(row["layout"]);
    if (found === layout) return found;
    const accepted = `a table of layout ${layout}, or a release of @dlock/sql that knows layout ${found}`;
    throw new LockConfigError("table", this.#name, accepted);
  }

  /** Tidies up, if nobody else is writing: nothing depends on it. */
  async #sweep(): Promise<void> {
    await this.#database.query(this.#sql.sweep, {}, { until: monotonicNow() + 1 }).catch(() => {});
  }
}

function token(row: Row): FencingToken {
  return BigInt(String(row["token"]));
}
