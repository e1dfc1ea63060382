import type { Opened } from "./connector.js";
import type { Settings, Strategy } from "./options.js";

const perNode = "locks of this strategy are each node's own: let all processes use one node";
const dangers: Readonly<Record<Strategy, string>> = {
  version:
    "leases end by the clock of whichever node is asked, too early by as much as those clocks differ: let all processes use one node",
  "for-update": perNode,
  advisory: perNode,
};

/** Looks at the first connection to a server, and reports `GALERA` if that is a node of a Galera cluster. */
export function galeraNotice({ strategy, emit }: Settings): (opened: Opened, deadline: number) => Promise<void> {
  let asked = false;
  return async ({ connection, dialect }, deadline) => {
    if (asked || dialect === "postgres") return;
    asked = true;
    // Not `wsrep_on`: that is the session's, and no variable at all on a server without Galera.
    const { rows } = await connection.run("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'", [], deadline);
    const nodes = Number(rows[0]?.["Value"] ?? 0);
    if (nodes === 0) return;
    const message = `the server is a node of a Galera cluster (${nodes} now), where ${dangers[strategy]}`;
    emit({ code: "GALERA", message });
  };
}
