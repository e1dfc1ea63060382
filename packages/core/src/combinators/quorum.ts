import { checkDuration, checkFields, checkText } from "../check.js";
import { monotonicNow } from "../clock.js";
import { LockConfigError } from "../errors.js";
import { type Guarantees, requireModes } from "../guarantees.js";
import type { HolderStatus, LockProvider, LockStatus } from "../provider.js";
import { settleBy } from "../settle.js";
import { type Electorate, type Member, noMajority } from "./electorate.js";
import { LeaseQuorum, SessionQuorum } from "./quorum-claim.js";
import { tally } from "./tally.js";
import { canRaise, checkProvider, weakest } from "./weakest.js";

export interface QuorumOptions {
  /** What errors call the members, in their order; without credentials. */
  readonly names?: readonly string[] | undefined;
  /** ms that one call to one member may take; default three quarters of the ttl, a second at most. */
  readonly memberTimeout?: number | undefined;
}

const fields = ["names", "memberTimeout"];

/**
 * The Redlock algorithm over independent providers: a lock is held while a majority of them holds it. Closes none of them.
 *
 * A member that forgets its locks when it restarts has to stay away for the longest ttl: else two may hold one lock.
 */
export function quorum(providers: readonly LockProvider[], options: QuorumOptions = {}): LockProvider {
  const electorate = electorateOf(providers, options);
  const { members, needed } = electorate;
  const guarantees = guaranteesOf(providers);
  /** Of all who answer in time, a majority at least. */
  const polled = async <Answer>(key: string, ask: (provider: LockProvider) => Promise<Answer>) => {
    const answers: Answer[] = [];
    const votes = members.map(async ({ provider }) => {
      const by = monotonicNow() + electorate.patience(undefined);
      answers.push(
        await settleBy(
          () => ask(provider),
          by,
          () => new Error("no answer"),
          { background: false },
        ),
      );
      return true;
    });
    const { yes, failed } = await tally(votes, members.length);
    if (yes < needed) throw noMajority(members, needed, failed, key);
    return answers;
  };
  const offers = (member: "inspect" | "forceRelease"): boolean => providers.every((one) => one[member] !== undefined);
  return {
    guarantees,
    claim(request) {
      requireModes(guarantees, request);
      const Claim = guarantees.alive === "lease" ? LeaseQuorum : SessionQuorum;
      return new Claim(electorate, request);
    },
    ...(offers("inspect") && {
      // The token is the largest that any member gave, which need not be one of the first who answer.
      inspect: async (key: string) => merge(key, needed, await polled(key, async (one) => one.inspect?.(key))),
    }),
    ...(offers("forceRelease") && {
      // A member that came to it when this had resolved would end a hold that came later.
      forceRelease: async (key: string) => (await polled(key, async (one) => one.forceRelease?.(key))).includes(true),
    }),
    async connect() {
      const { yes, failed } = await tally(
        members.map(async ({ provider }) => {
          await provider.connect?.();
          return true;
        }),
        needed,
      );
      if (yes < needed) throw noMajority(members, needed, failed);
    },
  };
}

function electorateOf(providers: readonly LockProvider[], options: QuorumOptions): Electorate {
  checkFields("quorum", options, fields);
  if (!Array.isArray(providers) || providers.length < 3 || new Set(providers).size < providers.length) {
    throw new LockConfigError("quorum", providers, "three or more different providers, an odd number for best");
  }
  const { names, memberTimeout } = options;
  if (names !== undefined && names.length !== providers.length) {
    throw new LockConfigError("names", names, "as many names as there are members");
  }
  if (memberTimeout !== undefined) checkDuration("memberTimeout", memberTimeout, 1);
  const members: readonly Member[] = providers.map((provider, place) => ({
    name: checkText("names", names?.[place] ?? `member ${place + 1}`),
    provider: checkProvider("quorum", provider),
  }));
  return {
    members,
    needed: Math.floor(members.length / 2) + 1,
    patience: (ttl = 30_000) => memberTimeout ?? Math.min(1_000, ttl * 0.75),
    fences: providers.every(canRaise),
  };
}

function guaranteesOf(providers: readonly LockProvider[]): Guarantees {
  const least = weakest(providers.map((provider) => provider.guarantees));
  return {
    ...least,
    exclusion: "quorum",
    failover: least.failover === "keeps" ? "keeps" : "may-forget",
    fencing: providers.every(canRaise) ? least.fencing : "best-effort",
    order: "none",
    waiting: "poll",
    // Members that admit k holders each would admit more than k of them together.
    modes: least.modes.filter((mode) => mode !== "semaphore"),
  };
}

/** Who holds a majority. What is on a minority of members is on its way in or out. */
function merge(key: string, needed: number, statuses: readonly (LockStatus | undefined)[]): LockStatus {
  const byOwner = new Map<string, HolderStatus[]>();
  for (const holder of statuses.flatMap((status) => status?.holders ?? [])) {
    byOwner.set(holder.owner, [...(byOwner.get(holder.owner) ?? []), holder]);
  }
  const holders = [...byOwner.values()].filter((seen) => seen.length >= needed).map((seen) => together(seen, needed));
  return { key, holders, waiters: [] };
}

function together(seen: readonly HolderStatus[], needed: number): HolderStatus {
  const [first] = seen as [HolderStatus];
  const fencingToken = seen.reduce((most, one) => (one.fencingToken > most ? one.fencingToken : most), 0n);
  const ends = seen.map(({ expiresIn }) => expiresIn ?? Number.POSITIVE_INFINITY).sort((one, other) => other - one);
  const expiresIn = ends[needed - 1] ?? Number.POSITIVE_INFINITY;
  return { owner: first.owner, mode: first.mode, fencingToken, ...(Number.isFinite(expiresIn) && { expiresIn }) };
}
