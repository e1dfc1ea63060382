import assert from "node:assert/strict";
import { counted } from "../counted.js";
import type { Law } from "../law.js";
import { contended } from "../signs.js";
import { later, now, sleep, within } from "../time.js";
import { served } from "../turns.js";
import { hasCode } from "./codes.js";
import { polling, unshared } from "./exemptions.js";

const shared = { mode: "shared" } as const;

export const sharing: readonly Law[] = [
  {
    id: "shared/together",
    title: "readers hold at the same time; a writer is kept out by the last of them, and keeps all of them out",
    exempt: unshared,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const readers = [here, there, here].map((peer) => stage.claim(peer, { key, ...shared, join: false }));
      for (const reader of readers) await stage.win(reader);
      for (const reader of readers) {
        await stage.assertTaken(there, key);
        assert.ok(await stage.ask(reader), "a reader beside other readers lost its hold");
        await reader.release();
      }
      const writer = stage.claim(here, { key });
      await stage.win(writer);
      const late = stage.claim(there, { key, ...shared, join: false });
      assert.equal(await stage.ask(late), undefined, "a reader was let in beside a writer");
      await writer.release();
      await stage.win(late);
    },
  },
  {
    id: "shared/own-release",
    title: "the release of one reader, also a second one, leaves the others' holds alone",
    exempt: unshared,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const [leaver, stayer] = [stage.claim(here, { key, ...shared }), stage.claim(there, { key, ...shared })];
      await stage.win(leaver);
      const { token } = await stage.win(stayer);
      await leaver.release();
      await leaver.release();
      await stage.assertTaken(here, key);
      assert.equal(await stage.ask(stayer), token);
      await stayer.release();
      await stage.assertFree(here, key);
    },
  },
  {
    id: "shared/tokens",
    title:
      "readers have tokens of their own, larger than those of the writers before them, smaller than the next one's",
    exempt: unshared,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      let last = 0n;
      for (let round = 0; round < 3; round++) {
        const readers = [here, there].map((peer) => stage.claim(peer, { key, ...shared }));
        const tokens: bigint[] = [];
        for (const reader of readers) tokens.push((await stage.win(reader)).token);
        // Readers that hold together need not have them in the order in which they came.
        assert.equal(new Set(tokens).size, tokens.length, "two readers have the same token");
        for (const token of tokens) assert.ok(token > last, "a reader got a smaller token than a writer before it");
        for (const reader of readers) await reader.release();
        const writer = stage.claim(here, { key });
        last = (await stage.win(writer)).token;
        for (const token of tokens) assert.ok(last > token, "a writer got a smaller token than a reader before it");
        await writer.release();
      }
    },
  },
  {
    id: "shared/wakes-writer",
    title: "the release of the last reader wakes the writer, whichever it is and whenever it comes",
    exempt: unshared,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      for (let round = 0; round < 20; round++) {
        const key = stage.key();
        const readers = [here, there].map((peer) => stage.claim(peer, { key, ...shared }));
        for (const reader of readers) await stage.win(reader);
        const writer = stage.claim(round % 2 === 0 ? here : there, { key });
        const gone = readers.map((reader) => later(sleep((round % 4) * Math.random()).then(() => reader.release())));
        await served(stage, writer, stage.slack, `the lock after the last reader, in round ${round},`);
        await Promise.all(gone);
        await writer.release();
      }
    },
  },
  {
    id: "shared/push",
    title: "who waits behind readers, or to read, does not poll, and is served soon after the release",
    exempt: (guarantees) => unshared(guarantees) ?? polling(guarantees),
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const watched = counted(there.provider);
      const [holder, waiter] = [await stage.locks(here), await stage.locks(watched)];
      const [read, written] = [stage.key(), stage.key()];
      const { ttl } = stage;
      const readers = [await holder.acquire(read, { ...shared, ttl }), await holder.acquire(read, { ...shared, ttl })];
      const writer = await holder.acquire(written, { ttl });
      const [toWrite, toRead] = [later(waiter.acquire(read)), later(waiter.acquire(written, shared))];
      await sleep(3 * writer.ttl);
      const asked = watched.calls("tryAcquire");
      assert.ok(asked <= 16, `${asked} tries of two waiters while the holders renewed for three times their ttl`);
      for (const lock of [...readers, writer])
        assert.equal(await lock.release(), true, "a hold was lost although it was renewed");
      await within(stage.slack, Promise.all([toWrite, toRead]), "the waiters, after the release");
    },
  },
  {
    id: "shared/sections",
    title: "sections of several processes: writers are alone, readers among themselves",
    exempt: unshared,
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer(), await stage.peer()];
      const key = stage.key();
      let [readers, writers] = [0, 0];
      const work = async (provider: (typeof peers)[number], index: number): Promise<void> => {
        const locks = await stage.locks(provider);
        for (let round = 0; round < 12; round++) {
          if ((round + index) % 4 === 0) {
            await locks.withLock(key, async () => {
              writers += 1;
              assert.deepEqual([readers, writers], [0, 1], "a writer was not alone");
              await sleep(1);
              writers -= 1;
            });
          } else {
            await locks.withLock(key, shared, async () => {
              readers += 1;
              assert.equal(writers, 0, "a reader was let in beside a writer");
              await sleep(2);
              readers -= 1;
            });
          }
        }
      };
      await within(15_000 + 20 * stage.slack, Promise.all(peers.map(work)), "all sections");
    },
  },
  {
    id: "shared/upgrade",
    title: "a reader that asks to write is refused at once: nobody waits for itself",
    exempt: unshared,
    async run(stage) {
      const locks = await stage.locks(await stage.peer());
      const key = stage.key();
      const since = now();
      await locks.withLock(key, shared, async (lock) => {
        for (const reentrant of [false, true]) {
          await assert.rejects(locks.acquire(key, { reentrant }), hasCode("LOCK_REENTRY"));
          assert.equal(await locks.tryAcquire(key, { reentrant }), undefined);
        }
        lock.throwIfLost();
      });
      assert.ok(now() - since < 5_000 + stage.slack, "it was not refused at once");
      const joined = contended(locks);
      const reader = await locks.acquire(key, shared);
      const writer = later(locks.acquire(key));
      await within(2_000 + stage.slack, joined, "being told to wait");
      assert.equal(await reader.release(), true);
      await (await within(stage.slack, writer, "the writer outside of the section")).release();
    },
  },
  {
    id: "shared/force-release",
    title: "a forced release ends the holds of all readers, and the next token is larger",
    exempt: unshared,
    offer: "forceRelease",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const readers = [here, there].map((peer) => stage.claim(peer, { key, ...shared }));
      const tokens: bigint[] = [];
      for (const reader of readers) tokens.push((await stage.win(reader)).token);
      assert.equal(await there.provider.forceRelease?.(key), true);
      const next = await stage.assertFree(here, key);
      for (const token of tokens) assert.ok(next > token, "a writer got a smaller token than a reader before it");
      for (const reader of readers)
        if (reader.renew) assert.equal(await reader.renew(stage.longTtl), false, "a hold ended by force was renewed");
    },
  },
  {
    id: "shared/inspect",
    title: "inspect shows every reader with its token, and who waits behind them",
    exempt: unshared,
    offer: "inspect",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const owners = ["reader 0", "reader 1"];
      const readers = owners.map((owner, place) => stage.claim(place ? there : here, { key, ...shared, owner }));
      const expected: object[] = [];
      for (const [place, reader] of readers.entries()) {
        const { token } = await stage.win(reader);
        expected.push({ owner: owners[place], mode: "shared", fencingToken: token });
      }
      const writer = stage.claim(there, { key, owner: "writer" });
      assert.equal(await stage.ask(writer), undefined);
      const { holders = [], waiters } = (await here.provider.inspect?.(key)) ?? {};
      const shown = holders.map(({ owner, mode, fencingToken }) => ({ owner, mode, fencingToken }));
      assert.deepEqual(
        shown.toSorted((one, other) => one.owner.localeCompare(other.owner)),
        expected,
      );
      for (const { expiresIn = 1 } of holders) assert.ok(expiresIn > 0 && expiresIn <= stage.longTtl);
      if (stage.harness.guarantees.order === "fifo") {
        assert.deepEqual(waiters, [{ owner: "writer", mode: "exclusive" }]);
      }
      await writer.release();
      for (const reader of readers) await reader.release();
      assert.deepEqual(await there.provider.inspect?.(key), { key, holders: [], waiters: [] });
    },
  },
];
