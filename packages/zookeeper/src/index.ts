export { createProvider } from "./create-provider.js";
export type { ZooKeeperOptions } from "./options.js";
export { type ZooKeeperProvider, type ZooKeeperServer, zookeeperProvider } from "./zookeeper-provider.js";
