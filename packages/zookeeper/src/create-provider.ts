import { checkFields, mergeOptions, type ProviderContext, type ProviderEntry } from "@dlock/core";
import { optionFields, type ZooKeeperOptions } from "./options.js";
import { parseUrl } from "./url.js";
import { openProvider, type ZooKeeperProvider } from "./zookeeper-provider.js";

const times = ["sessionTimeout", "tickTime"];

/** The locks of a `zookeeper:` or `zk:` URL. Options may be in its query or beside it in the entry. */
export function createProvider(entry: ProviderEntry, context: ProviderContext): ZooKeeperProvider {
  const { url, ...beside } = entry;
  checkFields("entry", beside, optionFields);
  const { address, query } = parseUrl(url);
  checkFields("url", query, optionFields);
  const said: Record<string, unknown> = { ...query };
  for (const field of times) if (field in query) said[field] = Number(query[field]);
  const options = mergeOptions(said, beside);
  // Checked for what they are where they are used.
  return openProvider(address, { ...(options as ZooKeeperOptions), emit: (notice) => context.emit(notice) });
}
