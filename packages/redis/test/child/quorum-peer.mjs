import { redisQuorum } from "@dlock/redis";

/** What a spawned holder opens: locks of its own on the servers that the URL names. */
export function open(url) {
  const provider = redisQuorum({ url });
  return { provider, close: () => provider.close() };
}
