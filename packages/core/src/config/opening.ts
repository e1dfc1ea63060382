import { loadAdapter, loadForeignAdapter } from "../adapters.js";
import { checkFields } from "../check.js";
import { migrate } from "../combinators/migrate.js";
import { quorum } from "../combinators/quorum.js";
import { checkRequirements } from "../guarantees.js";
import { createProvider as createMemory } from "../memory/create-provider.js";
import { masked } from "../masked.js";
import { maskedValue } from "../masked-text.js";
import type { LockProvider, ProviderContext, ProviderEntry, ProviderFactory } from "../provider.js";
import { partsOf, scheme } from "./check-config.js";
import type { BackendEntry, Config, Entry, Member, MigrateEntry, QuorumEntry } from "./config.js";
import { at, child } from "./path.js";

/** The providers of one configuration: each named backend is opened once, however often it is named. */
export class Opening {
  readonly #backends: Config["backends"];
  readonly #folder: string;
  readonly #context: ProviderContext;
  readonly #named = new Map<string, Promise<LockProvider>>();
  readonly #opened: LockProvider[] = [];

  /** The configuration must have been checked. Adapters of third parties are looked up from the folder. */
  constructor(backends: Config["backends"], folder: string, context: ProviderContext) {
    this.#backends = backends;
    this.#folder = folder;
    this.#context = context;
  }

  named(name: string): Promise<LockProvider> {
    let provider = this.#named.get(name);
    if (provider === undefined) {
      const spec = this.#backends[name] as string | Entry;
      provider = this.entry(typeof spec === "string" ? { url: spec } : spec, child("backends", name));
      this.#named.set(name, provider);
    }
    return provider;
  }

  /** `path` is where the entry stands, for errors; empty if it stands alone. */
  entry(entry: Entry, path: string): Promise<LockProvider> {
    return at(path, async () => {
      const { require = {}, ...rest } = entry;
      const provider = await this.#provider(rest as Entry);
      checkRequirements(provider.guarantees, require);
      return provider;
    });
  }

  /** Everything is closed, also what comes after a failure. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#opened.map(async (provider) => provider.close?.()));
    for (const result of closed) if (result.status === "rejected") throw result.reason;
  }

  #provider(entry: Entry): Promise<LockProvider> {
    if ("quorum" in entry) return this.#quorum(entry as QuorumEntry);
    if ("migrate" in entry) return this.#migrate(entry as MigrateEntry);
    return this.#backend(entry as BackendEntry);
  }

  async #backend({ adapter, ...entry }: BackendEntry): Promise<LockProvider> {
    const create = await this.#factory(entry.url, adapter);
    const provider = await open(create, entry as ProviderEntry, this.#context);
    this.#opened.push(provider);
    return provider;
  }

  async #factory(url: string, adapter: string | undefined): Promise<ProviderFactory> {
    if (adapter !== undefined) return loadForeignAdapter(adapter, this.#folder);
    const name = scheme.exec(url)?.[1]?.toLowerCase() ?? "";
    return name === "memory" ? createMemory : loadAdapter(name);
  }

  async #quorum({ quorum: members, ...options }: QuorumEntry): Promise<LockProvider> {
    checkFields("quorum", options, ["memberTimeout"]);
    const providers: LockProvider[] = [];
    for (const [index, member] of members.entries()) providers.push(await this.#member(member, child("quorum", index)));
    return quorum(providers, { ...options, names: members.map(nameOf) });
  }

  async #migrate({ migrate: { from, to }, ...options }: MigrateEntry): Promise<LockProvider> {
    checkFields("migrate", options, ["require"]);
    return migrate({
      names: { from: nameOf(from), to: nameOf(to) },
      from: await this.#member(from, "migrate.from"),
      to: await this.#member(to, "migrate.to"),
    });
  }

  #member(member: Member, path: string): Promise<LockProvider> {
    if (typeof member === "object") return this.entry(member, path);
    return scheme.test(member) ? this.entry({ url: member }, path) : this.named(member);
  }
}

/** An adapter of a third party may throw what it was told. */
async function open(create: ProviderFactory, entry: ProviderEntry, context: ProviderContext): Promise<LockProvider> {
  try {
    return await create(entry, context);
  } catch (error) {
    throw masked(error);
  }
}

/** What errors call it, and what puts two backends in the same order in every process: its name, or its URL without user, password and query. */
function nameOf(member: Member): string {
  if (typeof member !== "string")
    return "url" in member ? nameOf(member.url as string) : JSON.stringify(partsOf(member).map(nameOf));
  const name = member.replace(/\/\/.*@/s, "//").replace(/[?#].*/s, "");
  // The rest of `memory:name` is a name, and has to stay different from others.
  return /\/\/|@/.test(name) ? maskedValue(name, "url") : name;
}
