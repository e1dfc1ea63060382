export { createProvider } from "./create-provider.js";
export type { RedisOptions, RedisServer } from "./options.js";
export type { RedisClient } from "./redis-client.js";
export { type RedisProvider, redisProvider } from "./redis-provider.js";
export { redisQuorum, type RedisQuorumOptions } from "./redis-quorum.js";
