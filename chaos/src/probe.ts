import type { Guarantees } from "@dlock/core";
import { type Keys, limit } from "./brief.js";
import { openLocks } from "./entry.js";
import { now } from "./event.js";
import type { Ground } from "./ground.js";
import type { Violation } from "./trial.js";

/** What the backend promises. */
export async function guaranteesOf(ground: Ground): Promise<Guarantees> {
  const { locks, close } = await openLocks(ground.side);
  const { guarantees } = locks;
  await close();
  return guarantees;
}

/** When everybody has gone: takes every key once, by itself; those that cannot be had. */
export async function probe(ground: Ground, keys: Keys): Promise<readonly Violation[]> {
  const { locks, close } = await openLocks(ground.side);
  try {
    const all = [...keys.exclusive, ...keys.shared, ...keys.limited];
    const looks = all.map(async (key): Promise<readonly Violation[]> => {
      try {
        // The permits of those who were killed may not be over yet.
        const terms = keys.limited.includes(key) ? { limit } : {};
        const lock = await locks.acquire(key, { ...terms, ttl: ground.ttl, waitTimeout: ground.recovery });
        await lock.release();
        return [];
      } catch (error) {
        const what = `nobody is left, and it cannot be had within ${ground.recovery} ms: ${(error as Error).message}`;
        return [{ checker: "afterwards", key, at: now(), what, holds: [], announced: false }];
      }
    });
    return (await Promise.all(looks)).flat();
  } finally {
    await close();
  }
}

/** What is left in the store then, and goes on being there. */
export async function leftovers(ground: Ground): Promise<readonly Violation[]> {
  const end = now() + ground.ttl + 3_000;
  for (;;) {
    // What cannot be looked at is not known to be gone.
    const residue = await ground.residue().catch((error: unknown) => [`nobody can look: ${String(error)}`]);
    if (residue.length === 0) return [];
    if (now() > end)
      return residue.map((what) => ({ checker: "residue", key: "", at: now(), what, holds: [], announced: false }));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
