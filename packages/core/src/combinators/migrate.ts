import { checkText } from "../check.js";
import { LockConfigError } from "../errors.js";
import { type Guarantees, requireModes } from "../guarantees.js";
import type { LockProvider, LockStatus } from "../provider.js";
import { LeaseMigration, SessionMigration } from "./migration-claim.js";
import { canRaise, checkProvider, weakest } from "./weakest.js";

export interface Migration {
  readonly from: LockProvider;
  readonly to: LockProvider;
  /**
   * Of the two backends, each the same in every process of the fleet and whichever way it moves: locks are taken in the
   * order of the names, so that those who go there and those who come back do not wait for each other.
   */
  readonly names: { readonly from: string; readonly to: string };
}

/**
 * Holds every lock on both backends, so that a fleet can move from one to the other while it runs: first all processes
 * from `from` to this, then from this to `to`. Closes neither.
 */
export function migrate({ from, to, names }: Migration): LockProvider {
  const old = { name: checkText("names.from", names?.from), provider: checkProvider("from", from) };
  const young = { name: checkText("names.to", names?.to), provider: checkProvider("to", to) };
  if (old.name === young.name || from === to) {
    throw new LockConfigError("names", old.name, "two different backends, each by its own name");
  }
  const sides = (old.name < young.name ? [from, to] : [to, from]) as [LockProvider, LockProvider];
  const guarantees: Guarantees = {
    ...weakest(sides.map((side) => side.guarantees)),
    // In a fleet on its way, those who hold one side only stand in another line than those who hold both.
    order: "none",
  };
  const fences = sides.every(canRaise);
  const promised: Guarantees = fences ? guarantees : { ...guarantees, fencing: "best-effort" };
  const { inspect, forceRelease } = members(sides);
  return {
    guarantees: promised,
    claim(request) {
      requireModes(promised, request);
      const Claim = promised.alive === "lease" ? LeaseMigration : SessionMigration;
      return new Claim(sides, request, fences);
    },
    ...(inspect && { inspect }),
    ...(forceRelease && { forceRelease }),
    async connect() {
      await Promise.all(sides.map(async (side) => side.connect?.()));
    },
  };
}

function members(sides: readonly LockProvider[]): Pick<LockProvider, "inspect" | "forceRelease"> {
  return {
    inspect: sides.every((side) => side.inspect)
      ? async (key) => merge(key, await Promise.all(sides.map(async (side) => side.inspect?.(key))))
      : undefined,
    forceRelease: sides.every((side) => side.forceRelease)
      ? async (key) => (await Promise.all(sides.map(async (side) => side.forceRelease?.(key)))).includes(true)
      : undefined,
  };
}

/** Whoever holds both sides is shown once, with the larger of its two tokens, which is the one it was given. */
function merge(key: string, statuses: readonly (LockStatus | undefined)[]): LockStatus {
  const holders = new Map<string, LockStatus["holders"][number]>();
  for (const holder of statuses.flatMap((status) => status?.holders ?? [])) {
    const known = holders.get(holder.owner);
    if (known === undefined || known.fencingToken < holder.fencingToken) holders.set(holder.owner, holder);
  }
  return { key, holders: [...holders.values()], waiters: statuses.flatMap((status) => status?.waiters ?? []) };
}
