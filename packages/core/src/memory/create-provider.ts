import { checkFields, checkText } from "../check.js";
import type { LockProvider, ProviderEntry } from "../provider.js";
import { memoryProvider, memoryStore } from "../memory.js";
import type { MemoryStore } from "./memory-store.js";

const named = new Map<string, MemoryStore>();

/** `memory:` is a store of its own, `memory:name` one that the process shares under this name. */
export function createProvider(entry: ProviderEntry): LockProvider {
  checkFields("memory:", entry, ["url"]);
  const name = checkText("url", entry.url).slice("memory:".length);
  if (name === "") return memoryProvider();
  const store = named.get(name) ?? memoryStore();
  named.set(name, store);
  return memoryProvider({ store });
}
