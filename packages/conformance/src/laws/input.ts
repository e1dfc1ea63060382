import assert from "node:assert/strict";
import type { Claim, ClaimRequest } from "@dlock/core";
import type { Law } from "../law.js";
import { hasCode } from "./codes.js";

const long = "k".repeat(300);

/** In each row, names that some store folds, trims, normalises, cuts, quotes, splits or reads as a pattern. */
const rows = [
  ["a", "A", "a ", " a", "a\n", "a\t"],
  ["é", "e\u0301", "ß", "ss", "ı", "i", "I", "İ", "日本", "🔒", "🔑"],
  ["'", '"', "''", "`", "\\", "\\\\", "--", ";", "$1", "?"],
  ["%", "_", "%41", "A", "*", "[a]", "a", ".*"],
  ["{}", "{a}", "{a}b", "}a", "{", "}{", "a"],
  ["/", "//", "a/b", "a//b", "/a", "a/", ".", "..", "../a", "a"],
  ["a:b", "a|b", "a,b", "null", "0", "00", "-0", "1e1", "10"],
  [long, `${long}a`, `${long}b`, `${"é".repeat(200)}a`, `${"é".repeat(200)}b`, `${long}/${long}`],
];

export const input: readonly Law[] = [
  {
    id: "input/keys",
    title: "every name is a key of its own: long, Unicode, quotes, braces, slashes, patterns, blanks and case",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const prefix = stage.key();
      for (const row of rows) {
        const held = new Map<string, Claim>();
        for (const key of row.flatMap((name) => [`${prefix}${name}`, `${name}${prefix}`])) {
          const claim = stage.claim(here, { key, join: false });
          assert.notEqual(await stage.ask(claim), undefined, `${JSON.stringify(key)} is not free, and nobody took it`);
          await stage.assertTaken(there, key);
          held.set(key, claim);
        }
        for (const [key, claim] of held) {
          await claim.release();
          await stage.assertFree(there, key);
        }
      }
    },
  },
  {
    id: "input/bare-keys",
    title: "a key that is nothing but a special character works",
    async run(stage) {
      const peer = await stage.peer();
      for (const key of ["'", '"', "*", "{}", "/", "..", " ", "%", "\\"]) {
        const claim = stage.claim(peer, { key, ttl: stage.ttl });
        await stage.win(claim, 2 * stage.ttl + stage.slack);
        await claim.release();
      }
    },
  },
  {
    id: "input/claim-does-nothing",
    title: "making a claim touches nothing: only its methods do",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      stage.claim(here, { key });
      await stage.assertFree(there, key);
      const holder = stage.claim(there, { key });
      await stage.win(holder);
      stage.claim(here, { key });
      await holder.release();
      await stage.assertFree(there, key);
      await stage.claim(here, { key }).release();
      await stage.assertFree(there, key);
    },
  },
  {
    id: "input/shared-refused",
    title: "a provider without shared holds refuses to claim one, with a LockConfigError",
    exempt: ({ modes }) => (modes.includes("shared") ? "modes: shared" : undefined),
    run: (stage) => refuses(stage, { mode: "shared" }),
  },
  {
    id: "input/limit-refused",
    title: "a provider without semaphores refuses a limit above one, with a LockConfigError",
    exempt: ({ modes }) => (modes.includes("semaphore") ? "modes: semaphore" : undefined),
    run: (stage) => refuses(stage, { limit: 2 }),
  },
  {
    id: "input/inspect",
    title: "inspect shows the holder, its label and token, who waits, and nobody when nobody is there",
    offer: "inspect",
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      assert.deepEqual(await here.provider.inspect?.(key), { key, holders: [], waiters: [] });
      const holder = stage.claim(here, { key, owner: "the holder" });
      const { token } = await stage.win(holder);
      const waiter = stage.claim(there, { key, owner: "the waiter" });
      assert.equal(await stage.ask(waiter), undefined);
      const status = await there.provider.inspect?.(key);
      assert.equal(status?.key, key);
      assert.equal(status.holders.length, 1);
      const [shown] = status.holders;
      assert.deepEqual(
        { owner: shown?.owner, mode: shown?.mode, fencingToken: shown?.fencingToken },
        { owner: "the holder", mode: "exclusive", fencingToken: token },
      );
      if (shown?.expiresIn !== undefined) assert.ok(shown.expiresIn > 0 && shown.expiresIn <= stage.longTtl);
      if (stage.harness.guarantees.order === "fifo") {
        assert.deepEqual(status.waiters, [{ owner: "the waiter", mode: "exclusive" }]);
      }
      await waiter.release();
      await holder.release();
      assert.deepEqual(await there.provider.inspect?.(key), { key, holders: [], waiters: [] });
    },
  },
];

async function refuses(stage: Parameters<Law["run"]>[0], request: Partial<ClaimRequest>): Promise<void> {
  const peer = await stage.peer();
  assert.throws(() => stage.claim(peer, { key: stage.key(), ...request }), hasCode("LOCK_CONFIG"));
  const locks = await stage.locks(peer);
  await assert.rejects(locks.acquire(stage.key(), request), hasCode("LOCK_CONFIG"));
}
