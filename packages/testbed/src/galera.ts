import { existsSync } from "node:fs";
import { hasApt } from "./apt.js";
import type { MysqlConfig } from "./mysql.js";
import { freePort, loopback } from "./port.js";
import { provide } from "./provide.js";

const library = "/usr/lib/galera/libgalera_smm.so";

/** Returns what makes a MariaDB the only node of a Galera cluster; undefined where the library is not and cannot be installed. */
export async function galeraConfig(): Promise<MysqlConfig | undefined> {
  if (!existsSync(library) && (!hasApt() || process.getuid?.() !== 0)) return undefined;
  await provide({ name: "Galera", files: [library], apt: ["galera-4"] });
  return {
    "wsrep-on": "ON",
    "wsrep-provider": library,
    "wsrep-cluster-address": "gcomm://",
    "wsrep-node-address": loopback,
    "wsrep-provider-options": `gmcast.listen_addr=tcp://${loopback}:${await freePort()}`,
    "binlog-format": "ROW",
    "innodb-autoinc-lock-mode": "2",
  };
}
