import { isSelected } from "@dlock/testbed";
import { clusterGround } from "./grounds/cluster-ground.js";
import { databaseGround } from "./grounds/database-ground.js";
import { quorumGround } from "./grounds/quorum-ground.js";
import { redisGround } from "./grounds/redis-ground.js";
import { rolesGround, searchPathGround } from "./grounds/search-path-grounds.js";
import { sentinelGround } from "./grounds/sentinel-ground.js";
import { sqliteGround } from "./grounds/sqlite-ground.js";
import { zookeeperGround } from "./grounds/zookeeper-ground.js";
import type { Fault } from "./fault.js";
import { linkFaultsOn } from "./faults/link-faults.js";
import { processFaults, unheard } from "./faults/process-faults.js";
import { twoAtOnce } from "./faults/together.js";
import type { Ground, OpenGround } from "./ground.js";

export const backends: Readonly<Record<string, OpenGround>> = {
  redis: redisGround,
  "redis-quorum": quorumGround,
  "redis-sentinel": sentinelGround,
  "redis-cluster": clusterGround,
  postgres: databaseGround("postgres", "version"),
  "postgres-for-update": databaseGround("postgres", "for-update"),
  "postgres-advisory": databaseGround("postgres", "advisory"),
  "postgres-pgbouncer": databaseGround("postgres", "version", { pooled: true }),
  "postgres-roles": rolesGround,
  "postgres-search-path": searchPathGround,
  mariadb: databaseGround("mariadb", "version"),
  "mariadb-for-update": databaseGround("mariadb", "for-update"),
  "mariadb-advisory": databaseGround("mariadb", "advisory"),
  // Where it is asked for: Debian has no package of it.
  ...(isSelected("mysql") ? { mysql: databaseGround("mysql", "version") } : {}),
  sqlite: sqliteGround,
  zookeeper: zookeeperGround,
};

/** All that can happen there. */
export function faultsOn(ground: Ground): readonly Fault[] {
  const near = [...processFaults, ...(ground.ways.length > 0 ? [unheard, ...linkFaultsOn(ground)] : [])];
  return [...near, ...ground.faults, ...twoAtOnce(near, ground.faults)];
}
