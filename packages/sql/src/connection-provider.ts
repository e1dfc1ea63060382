import { type ClaimRequest, type Guarantees, type LockStatus, requireModes, type SessionClaim } from "@dlock/core";
import { Advisory } from "./advisory.js";
import { ConnectionClaim } from "./connection-claim.js";
import type { Connector } from "./connector.js";
import { Counters, soon } from "./counters.js";
import type { Exclusion } from "./exclusion.js";
import { ForUpdate } from "./for-update.js";
import { lockRows } from "./lock-row.js";
import { ReaderTable, readerRows } from "./reader-table.js";
import { SessionPool } from "./session-pool.js";
import type { SqlProvider } from "./sql-provider.js";
import type { Parts } from "./strategies.js";

const guarantees: Omit<Guarantees, "modes"> = {
  exclusion: "server",
  failover: "may-forget",
  fencing: "unless-data-and-clock-lost",
  alive: "connection",
  order: "none",
  waiting: "push",
};
/** Of locks that are held, or waited for. */
const connectionsByDefault = 20;

export function openForUpdate(parts: Parts): SqlProvider {
  const { connector, location, table } = parts;
  const { family } = connector.source;
  const [rows, readers] = [lockRows(family, table), readerRows(family, table)];
  const counters = new Counters(connector, location, [rows, readers]);
  return new ConnectionProvider(
    parts,
    counters,
    new ForUpdate(table, rows, counters, new ReaderTable(counters, readers)),
  );
}

export function openAdvisory(parts: Parts): SqlProvider {
  const { connector, location, table } = parts;
  // The others have no lock by name that is shared.
  const shares = connector.source.family === "postgres";
  const rows = readerRows("postgres", table);
  const counters = new Counters(connector, location, shares ? [rows] : []);
  const readers = shares ? new ReaderTable(counters, rows) : undefined;
  return new ConnectionProvider(parts, counters, new Advisory(table, counters, readers));
}

/** The strategies `for-update` and `advisory`: locks that live by connections of ours. */
class ConnectionProvider implements SqlProvider {
  readonly guarantees: Guarantees;
  readonly #connector: Connector;
  readonly #counters: Counters;
  readonly #exclusion: Exclusion;
  readonly #pool: SessionPool;
  readonly #emit: Parts["emit"];
  readonly #raised = new Set<number>();

  constructor({ connector, connections, emit, strategy }: Parts, counters: Counters, exclusion: Exclusion) {
    this.#connector = connector;
    this.#counters = counters;
    this.#exclusion = exclusion;
    this.guarantees = { ...guarantees, modes: exclusion.modes };
    this.#pool = new SessionPool(connector, connections ?? connectionsByDefault, strategy);
    this.#emit = emit;
  }

  claim(request: ClaimRequest): SessionClaim {
    requireModes(this.guarantees, request);
    return new ConnectionClaim(this.#pool, this.#exclusion, request, this.#ttl(request), this.#counters);
  }

  async inspect(key: string): Promise<LockStatus> {
    const alone = await this.#exclusion.isHeldAlone(key, soon());
    const holder = alone ? await this.#counters.last(key) : undefined;
    const holders = holder === undefined ? await this.#exclusion.readers(key, soon()) : [holder];
    return { key, holders, waiters: [] };
  }

  createSchema(): Promise<void> {
    return this.#counters.create({ until: soon() });
  }

  async connect(): Promise<void> {
    await this.#pool.check(soon());
    await this.#counters.prepare({ until: soon() });
  }

  async close(): Promise<void> {
    this.#pool.close();
    await this.#connector.close();
  }

  /** MySQL and MariaDB count the time of an idle connection in seconds. */
  #ttl({ ttl, key }: ClaimRequest): number {
    if (this.#counters.family === "postgres") return ttl;
    const raised = Math.ceil(ttl / 1_000) * 1_000;
    if (raised !== ttl && !this.#raised.has(ttl)) {
      this.#raised.add(ttl);
      const message = `a ttl of ${ttl} ms is ${raised} ms on this server, which counts in seconds`;
      this.#emit({ code: "TTL_RAISED", message, key });
    }
    return raised;
  }
}
