import { LockConfigError } from "../errors.js";
import type { LockProvider } from "../provider.js";
import { checkProvider, weakest } from "./weakest.js";

export interface RouteTable {
  /** By key pattern, in which `*` is any run of characters, also none. */
  readonly routes: { readonly [pattern: string]: LockProvider };
  /** Of the keys without a route; without it such a key is refused. */
  readonly default?: LockProvider | undefined;
}

/**
 * Sends each key to one of several providers: the one with the most specific pattern that fits. All processes need the
 * same routes, or two of them hold one lock in two places. Closes none of them.
 */
export function route({ routes, default: fallback }: RouteTable): LockProvider {
  const table = new Map(
    Object.entries(routes).map(([pattern, provider]) => [checkPattern(pattern), checkProvider(pattern, provider)]),
  );
  const patterns = [...table.keys()];
  const all = [...new Set([...table.values(), ...(fallback ? [checkProvider("default", fallback)] : [])])];
  const find = (key: string): LockProvider => {
    const pattern = mostSpecific(patterns, key);
    const provider = pattern === undefined ? fallback : table.get(pattern);
    if (provider) return provider;
    throw new LockConfigError("key", key, `a key that fits one of the routes ${patterns.join(", ")}`, key);
  };
  const ask = <Name extends "inspect" | "forceRelease">(name: Name, key: string): NonNullable<LockProvider[Name]> => {
    const provider = find(key);
    const method = provider[name];
    if (!method) throw new LockConfigError(name, key, "a key whose backend can do that", key);
    return method.bind(provider) as NonNullable<LockProvider[Name]>; // the same function
  };
  const offers = (member: keyof LockProvider): boolean => all.some((provider) => provider[member] !== undefined);
  return {
    guarantees: weakest(all.map(({ guarantees }) => guarantees)),
    claim: (request) => find(request.key).claim(request),
    ...(offers("inspect") && { inspect: async (key: string) => ask("inspect", key)(key) }),
    ...(offers("forceRelease") && { forceRelease: async (key: string) => ask("forceRelease", key)(key) }),
    ...(offers("list") && {
      async *list(pattern: string) {
        for (const provider of all) if (provider.list) yield* provider.list(pattern);
      },
    }),
    async connect() {
      await Promise.all(all.map(async (provider) => provider.connect?.()));
    },
  };
}

/** Throws `LockConfigError` for what is no pattern. */
function checkPattern(pattern: string): string {
  if (pattern !== "" && !pattern.includes("**")) return pattern;
  throw new LockConfigError("routes", pattern, "a key, in which each * stands for any run of characters");
}

/** The pattern that decides about a key: of those that fit the one with most characters besides its stars, then with fewest stars, then first in the alphabet. */
export function mostSpecific(patterns: readonly string[], key: string): string | undefined {
  return patterns.filter((pattern) => fits(pattern, key)).toSorted(bySpecificity)[0];
}

function fits(pattern: string, key: string): boolean {
  const [start = "", ...rest] = pattern.split("*");
  const end = rest.pop();
  if (end === undefined) return pattern === key;
  if (!key.startsWith(start) || !key.endsWith(end) || key.length < start.length + end.length) return false;
  let at = start.length;
  for (const part of rest) {
    const found = key.indexOf(part, at);
    if (found < 0 || found + part.length > key.length - end.length) return false;
    at = found + part.length;
  }
  return true;
}

function bySpecificity(one: string, other: string): number {
  const [stars, otherStars] = [one.split("*").length, other.split("*").length];
  return other.length - otherStars - (one.length - stars) || stars - otherStars || (one < other ? -1 : 1);
}
