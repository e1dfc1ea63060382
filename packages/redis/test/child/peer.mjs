import { redisProvider } from "@dlock/redis";

/** What a spawned holder opens: locks of its own at the URL. */
export function open(url) {
  const provider = redisProvider({ url });
  return { provider, close: () => provider.close() };
}
