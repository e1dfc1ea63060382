import { type Guarantees, LockConfigError } from "@dlock/core";
import { Announcements } from "./announcements.js";
import type { Connector } from "./connector.js";
import { LeaseProvider } from "./lease-provider.js";
import { LeaseTable } from "./lease-table.js";
import { HolderTable } from "./holder-table.js";
import { mysqlDialect } from "./mysql-dialect.js";
import { mysqlHolders } from "./mysql-holders.js";
import { postgresDialect } from "./postgres-dialect.js";
import { postgresHolders } from "./postgres-holders.js";
import { ServerDatabase } from "./server-database.js";
import type { Parts } from "./strategies.js";
import type { TableLocation } from "./table-location.js";

const guarantees: Guarantees = {
  exclusion: "server",
  failover: "may-forget",
  fencing: "unless-data-and-clock-lost",
  alive: "lease",
  order: "none",
  waiting: "poll",
  modes: ["exclusive", "shared", "semaphore"],
};
/** Statements are short: more connections than this only help who takes hundreds of locks at once. */
const connectionsByDefault = 4;
const pace = { shortest: 10, longest: 100 };

/** The tables of a server. */
function tables(
  connector: Connector,
  location: TableLocation,
  connections: number,
  notify: boolean,
): [LeaseTable, HolderTable] {
  const { table } = location;
  const postgres = connector.source.family === "postgres";
  const dialect = postgres ? postgresDialect(table, { notify }) : mysqlDialect(table);
  const holders = postgres ? postgresHolders(table, { notify }) : mysqlHolders(table);
  // The row without a key has no claim either.
  const nobody = { key: "", claim: "nobody", ttl: 1 };
  const renewals = [dialect, holders].map(({ renew }) => [renew, nobody] as const);
  const leases = new LeaseTable(new ServerDatabase(connector, location, connections, renewals), dialect, table);
  return [leases, new HolderTable(leases, holders)];
}

export function openVersion({ connector, location, connections = connectionsByDefault, notify }: Parts): LeaseProvider {
  const [leases, holders] = tables(connector, location, connections, notify);
  if (!notify) return new LeaseProvider(leases, holders, guarantees, pace);
  if (connector.source.family !== "postgres")
    throw new LockConfigError("notify", true, "false: only PostgreSQL has NOTIFY");
  return new LeaseProvider(
    leases,
    holders,
    { ...guarantees, waiting: "push" },
    pace,
    new Announcements(connector, location.table),
  );
}
