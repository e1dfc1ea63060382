import type { Contender, Terms } from "./contenders.js";

/** What keeps a claim out. */
export interface Obstacle {
  /** Whose end it has to wait for; `undefined`: that of any of those before it. */
  readonly node: Contender | undefined;
  /** The limit in use, if that is another one: waiting is in vain. */
  readonly limit?: number;
}

/** What keeps a claim on these terms from holding, behind those: nothing (`undefined`), or the last of them that it has to wait for. */
export function obstacleTo({ mode, limit }: Terms, before: readonly Contender[]): Obstacle | undefined {
  const differs = (other: Contender): boolean => other.limit !== limit;
  const odd = before.findLast(differs);
  const [first] = before;
  if (first !== undefined && differs(first)) return { node: first, limit: first.limit };
  // It came later than the first, and will find that out.
  if (odd !== undefined) return { node: odd };
  if (mode === "shared") {
    const writer = before.findLast((other) => other.mode !== "shared");
    return writer && { node: writer };
  }
  if (before.length < limit) return undefined;
  return { node: limit > 1 && before.length === limit ? undefined : before.at(-1) };
}

/** Who holds: whom nothing keeps out. */
export function holdersIn(line: readonly Contender[]): readonly Contender[] {
  return line.filter((one, place) => obstacleTo(one, line.slice(0, place)) === undefined);
}
