import assert from "node:assert/strict";
import type { Peer } from "../harness.js";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { sleep, within } from "../time.js";

export const names: readonly Law[] = [
  {
    id: "names/aliases",
    title:
      "two configurations that name the same locks in different ways exclude each other, or one of them is refused",
    needs: ["aliases"],
    async run(stage) {
      for (const { title, open } of stage.harness.aliases ?? []) {
        await about(title, async () => {
          const [one, other] = [await admitted(stage, open[0]), await admitted(stage, open[1])];
          assert.ok(one ?? other, "both were refused");
          // A refusal keeps them apart as well.
          if (!one || !other) return;
          await exclude(stage, one, other);
          await exclude(stage, other, one);
          await crowd(stage, [one, other]);
        });
      }
    },
  },
];

/** A peer that was let in as far as a hold, or nothing if it was refused. */
async function admitted(stage: Stage, open: () => Promise<Peer>): Promise<Peer | undefined> {
  try {
    const peer = await stage.peer(open);
    const claim = stage.claim(peer, { key: stage.key() });
    await stage.win(claim, 2 * stage.ttl + stage.slack);
    await claim.release();
    return peer;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** A sentence for whoever configured it: no trouble that passes, and no failure of something else. */
function isRefusal(error: unknown): boolean {
  if (typeof error !== "object" || error === null || !("code" in error)) return false;
  if (error.code === "LOCK_BACKEND") return !("retryable" in error) || error.retryable !== true;
  return error.code === "LOCK_CONFIG";
}

/** What one holds is not free for the other, who gets it next, with a larger token. */
async function exclude(stage: Stage, one: Peer, other: Peer): Promise<void> {
  const key = stage.key();
  const holder = stage.claim(one, { key });
  const { token } = await stage.win(holder);
  await stage.assertTaken(other, key);
  const waiter = stage.claim(other, { key });
  assert.equal(await stage.ask(waiter), undefined, "a lock that is held was given to somebody else");
  await holder.release();
  const next = await stage.win(waiter, stage.deadWaiter + stage.slack, "a lock that was given back");
  assert.ok(next.token > token, `the next token, ${next.token}, is not larger than ${token}`);
  await stage.assertTaken(one, key);
  await waiter.release();
  await stage.assertFree(one, key, stage.deadWaiter + stage.slack);
}

/** Where names hang on a connection, the first few calls may all have met the right one. */
async function crowd(stage: Stage, peers: readonly Peer[]): Promise<void> {
  const key = stage.key();
  const all = await Promise.all(peers.map((peer) => stage.locks(peer)));
  let inside = 0;
  const work = async (locks: (typeof all)[number]): Promise<void> => {
    for (let round = 0; round < 5; round++) {
      await locks.withLock(key, async () => {
        assert.equal(++inside, 1, "two sections overlap");
        await sleep(2);
        inside--;
      });
    }
  };
  const done = Promise.all(all.flatMap((locks) => [work(locks), work(locks)]));
  await within(3_000 + 25 * stage.slack, done, "all sections");
}

async function about(title: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new assert.AssertionError({ message: `${title}: ${why}` });
  }
}
