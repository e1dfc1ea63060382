import type { Config, Entry } from "./config/config.js";
import { costOfMember } from "./config/cost.js";
import { Opening } from "./config/opening.js";
import { type Source, sourceOf } from "./config/source.js";
import { at } from "./config/path.js";
import { route } from "./combinators/route.js";
import type { LockProvider, ProviderContext } from "./provider.js";

/** What `createLocks` takes as its backend: a URL, the path of a configuration file, a provider, an entry, or a configuration. */
export type Where = string | { readonly href: string } | LockProvider | Entry | Config;

export interface Backend {
  readonly provider: LockProvider;
  /** Frees what was opened here, never a provider that was handed in. */
  readonly close: () => Promise<void>;
}

/** The provider that `where`, or else DLOCK_URL, DLOCK_CONFIG or the nearest configuration file names. Throws `LockConfigError`. */
export async function openBackend(where: Where | undefined, context: ProviderContext): Promise<Backend> {
  if (isProvider(where)) return { provider: where, close: async () => {} };
  const source = await sourceOf(where, context);
  const opening = openingOf(source, context);
  return orClose(opening, source, async () => ({
    provider: await main(opening, source.content),
    close: () => opening.close(),
  }));
}

/** One of the backends that `where` names. */
export interface NamedBackend {
  readonly name: string;
  readonly provider: LockProvider;
  /** Larger for slower ones. */
  readonly cost: number;
}

/** Every backend that `where` names, without routes, looked at by `work` and closed. */
export async function withEach<Result>(
  where: Where,
  work: (backends: readonly NamedBackend[]) => Result,
): Promise<Result> {
  if (isProvider(where)) return work([{ name: "where", provider: where, cost: 0 }]);
  const silent = { emit: () => {} };
  const source = await sourceOf(where, silent);
  const opening = openingOf(source, silent);
  return orClose(opening, source, async () => {
    const { content } = source;
    const backends = isConfig(content) ? content.backends : { where: content };
    const named: NamedBackend[] = [];
    for (const [name, member] of Object.entries(backends)) {
      const provider = await (isConfig(content) ? opening.named(name) : opening.entry(content, ""));
      named.push({ name, provider, cost: costOfMember(member, backends) });
    }
    const result = work(named);
    await opening.close();
    return result;
  });
}

function openingOf({ content, folder }: Source, context: ProviderContext): Opening {
  return new Opening(isConfig(content) ? content.backends : {}, folder, context);
}

/** Opens what the default and the routes lead to: a backend nobody leads to need not even be installed. */
async function main(opening: Opening, content: Entry | Config): Promise<LockProvider> {
  if (!isConfig(content)) return opening.entry(content, "");
  const { backends, routes = {}, default: fallback = Object.keys(backends)[0] as string } = content;
  const provider = await opening.named(fallback);
  const table: [pattern: string, provider: LockProvider][] = [];
  for (const [pattern, name] of Object.entries(routes)) table.push([pattern, await opening.named(name)]);
  return table.length === 0 ? provider : route({ default: provider, routes: Object.fromEntries(table) });
}

function orClose<Result>(opening: Opening, { place }: Source, work: () => Promise<Result>): Promise<Result> {
  return at(place, async () => {
    try {
      return await work();
    } catch (error) {
      await opening.close();
      throw error;
    }
  });
}

function isConfig(content: Entry | Config): content is Config {
  return "backends" in content;
}

function isProvider(where: unknown): where is LockProvider {
  return typeof where === "object" && where !== null && "claim" in where && typeof where.claim === "function";
}
