import { randomUUID } from "node:crypto";
import type { VersionProvider } from "@dlock/sql";
import { now, sleep } from "./store.js";

interface Hold {
  readonly key: string;
  alone: boolean;
  from: number;
  to: number;
}

const limit = 3;

/** Claims of all kinds on a few keys, at random, for a while: when each of them certainly held, and which of that excluded another. */
export async function holdings(
  providers: readonly VersionProvider[],
  { ttl, ms }: { readonly ttl: number; readonly ms: number },
): Promise<{ readonly overlaps: readonly string[]; readonly shared: boolean }> {
  const [end, holds]: [number, Hold[]] = [now() + ms, []];
  const certain = (askedAt: number) => askedAt + ttl * 0.99 - 2;
  const hold = async (provider: VersionProvider): Promise<void> => {
    const [readers, writes] = [Math.random() < 0.7, Math.random() < 0.5];
    // Few enough for each key that writers get in at all.
    const number = Math.floor(Math.random() * 4);
    const terms = readers
      ? ({ key: `read ${number}`, mode: writes ? "exclusive" : "shared", limit: 1 } as const)
      : ({ key: "permit", mode: "exclusive", limit } as const);
    const claim = provider.claim({ ...terms, id: randomUUID(), owner: "test", ttl, join: Math.random() < 0.5 });
    for (const patience = now() + 4 * ttl; now() < patience; await sleep(Math.random() * 10)) {
      const askedAt = now();
      if ((await claim.tryAcquire(askedAt + 5_000)) === undefined) continue;
      let mine: Hold = { key: terms.key, alone: readers && writes, from: now(), to: certain(askedAt) };
      holds.push(mine);
      while (Math.random() < 0.6) {
        // Now and then around the very end of it.
        await sleep(Math.random() < 0.2 ? Math.max(mine.to - now() + Math.random() * 4, 0) : Math.random() * ttl);
        const renewedAt = now();
        if (mine.alone && Math.random() < 0.3) {
          mine.to = Math.min(mine.to, renewedAt);
          if (!(await claim.downgrade?.())) return;
          mine = { key: terms.key, alone: false, from: now(), to: certain(askedAt) };
          holds.push(mine);
        } else if (await claim.renew(ttl)) mine.to = certain(renewedAt);
        else return;
      }
      // Some die.
      if (Math.random() < 0.2) return;
      mine.to = Math.min(mine.to, now());
      break;
    }
    await claim.release();
  };
  const work = async (provider: VersionProvider): Promise<void> => {
    // Who gets no answer in time knows nothing more of its hold, and is as good as dead.
    while (now() < end)
      await hold(provider).catch((error: unknown) => {
        if (!/in time|the deadline|its deadline/.test(String(error))) throw error;
      });
  };
  await Promise.all(providers.flatMap((provider) => Array.from({ length: 8 }, () => work(provider))));
  const real = holds.filter(({ from, to }) => from < to);
  return {
    overlaps: real.flatMap((one) => excluded(one, real)),
    shared: ["read 0", "permit"].every((key) => real.some((one) => one.key === key && beside(one, real).length > 0)),
  };
}

/** Those that held when this one began. */
function beside(one: Hold, holds: readonly Hold[]): readonly Hold[] {
  return holds.filter(
    (other) => other !== one && other.key === one.key && other.from <= one.from && other.to > one.from,
  );
}

function excluded(one: Hold, holds: readonly Hold[]): readonly string[] {
  const others = beside(one, holds);
  if (one.key === "permit") return others.length >= limit ? [`${others.length + 1} permits`] : [];
  if (one.alone && others.length > 0) return [`a writer beside ${others.length}`];
  return others.some(({ alone }) => alone) ? ["a holder beside a writer"] : [];
}
