import { checkFields, type ProviderContext, type ProviderEntry } from "@dlock/core";
import { optionFields, type ZooKeeperOptions } from "./options.js";
import { parseUrl } from "./url.js";
import { openProvider, type ZooKeeperProvider } from "./zookeeper-provider.js";

const times = ["sessionTimeout", "tickTime"];

/** The locks of a `zookeeper:` or `zk:` URL. Options may be in its query or beside it in the entry, which wins. */
export function createProvider(entry: ProviderEntry, context: ProviderContext): ZooKeeperProvider {
  const { url, ...beside } = entry;
  checkFields("entry", beside, optionFields);
  const { address, query } = parseUrl(url);
  checkFields("url", query, optionFields);
  const options: Record<string, unknown> = { ...query };
  for (const field of times) if (field in query) options[field] = Number(query[field]);
  for (const field of optionFields) if (beside[field] !== undefined) options[field] = beside[field];
  // Checked for what they are where they are used.
  return openProvider(address, { ...(options as ZooKeeperOptions), emit: (notice) => context.emit(notice) });
}
