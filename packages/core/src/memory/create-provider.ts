import { checkFields, checkText } from "../check.js";
import { LockConfigError } from "../errors.js";
import type { LockProvider, ProviderEntry } from "../provider.js";
import { memoryProvider, memoryStore } from "../memory.js";
import type { MemoryStore } from "./memory-store.js";

const named = new Map<string, MemoryStore>();

/** `memory:` is a store of its own, `memory:name` one that the process shares under this name. */
export function createProvider(entry: ProviderEntry): LockProvider {
  checkFields("memory:", entry, ["url"]);
  const name = nameIn(checkText("url", entry.url));
  if (name === "") return memoryProvider();
  const store = named.get(name) ?? memoryStore();
  named.set(name, store);
  return memoryProvider({ store });
}

/** A `URL` encodes what a string may have as it is: both name the same store. */
function nameIn(url: string): string {
  const [, name] = /^memory:(?:\/\/)?([^?#]*)$/i.exec(url) ?? [];
  const accepted = "memory: or memory:name, in which ?, # and % are written as %3F, %23 and %25";
  if (name === undefined) throw new LockConfigError("url", url, accepted);
  try {
    return decodeURIComponent(name);
  } catch (error) {
    throw new LockConfigError("url", url, accepted, undefined, error);
  }
}
