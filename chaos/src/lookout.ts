import { setTimeout as sleep } from "node:timers/promises";
import type { Keys } from "./brief.js";
import { openLocks } from "./entry.js";
import { type Event, now } from "./event.js";
import type { Ground } from "./ground.js";

const every = 400;

/** Looks from the side who holds what, again and again: some of them may not know that they do. Resolves with what ends it. */
export async function lookOut(
  ground: Ground,
  keys: Keys,
  record: (event: Event) => void,
): Promise<() => Promise<void>> {
  const { locks, close } = await openLocks(ground.side, { backendTimeout: 1_000 });
  const all = [...keys.exclusive, ...keys.shared, ...keys.limited];
  let over = false;
  const look = async (key: string): Promise<void> => {
    const asked = now();
    const { holders } = await locks.inspect(key);
    // Those who stand in line with others of their process have no name of their own.
    for (const { owner } of holders.filter((holder) => holder.owner.includes(".")))
      record({ ts: now(), proc: "lookout", op: "seen", hold: owner, key, asked });
  };
  const looking = (async () => {
    while (!over) {
      const asked = now();
      // Whoever is struck by a fault sees nothing.
      const looks = await Promise.allSettled(all.map(look));
      if (looks.every(({ status }) => status === "fulfilled"))
        record({ ts: now(), proc: "lookout", op: "look", asked });
      await sleep(every);
    }
  })();
  return async () => {
    over = true;
    await looking;
    await close();
  };
}
