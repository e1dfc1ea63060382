import { zookeeperProvider } from "@dlock/zookeeper";

/** What a spawned holder opens: locks of its own at the URL. */
export function open(url, sessionTimeout, tickTime) {
  const provider = zookeeperProvider({ url }, { sessionTimeout: Number(sessionTimeout), tickTime: Number(tickTime) });
  return { provider, close: () => provider.close() };
}
