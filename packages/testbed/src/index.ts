export { isSelected, selectedBackends, type Backend } from "./backend.js";
export type { Direction, Link, ReadingLink } from "./link.js";
export { modelCheck, type ModelCheck } from "./model/model-check.js";
export { Proxy } from "./proxy.js";
export { openRedis, startRedis, type Redis, type RedisLink, type StartedRedis } from "./redis.js";
export type { RedisConfig } from "./redis-server.js";
export type { Clock } from "./clock.js";
export { galeraConfig } from "./galera.js";
export { SmallDisk } from "./small-disk.js";
export type { Server } from "./server.js";
export type { Links } from "./links.js";
export { startRedisQuorum, type RedisGroup } from "./redis-group.js";
export { startRedisCluster, type RedisCluster } from "./redis-cluster.js";
export { startRedisSentinel, type RedisSentinel } from "./redis-sentinel.js";
export type { Database, Row, Session, StartedDatabase, UrlLink } from "./database.js";
export { openPostgres, startPostgres, type PostgresConfig } from "./postgres.js";
export { openMariadb, openMysql, startMariadb, startMysql, type MysqlConfig } from "./mysql.js";
export { startPgbouncer, type Pgbouncer, type PgbouncerConfig } from "./pgbouncer.js";
export {
  openZooKeeper,
  startZooKeeper,
  type Role,
  type StartedZooKeeper,
  type ZooKeeper,
  type ZooKeeperLink,
} from "./zookeeper.js";
export type { ZooKeeperConfig } from "./zookeeper-server.js";
export type { ZooKeeperLook } from "./zookeeper-look.js";
export { startZooKeeperEnsemble, type ZooKeeperEnsemble } from "./zookeeper-ensemble.js";
export type { Bundle } from "./bundle.js";
export { provide, type Provision } from "./provide.js";
export { watch } from "./watchdog.js";
