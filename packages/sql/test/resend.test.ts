import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LeaseClaim } from "@dlock/core";
import { sqlProvider } from "@dlock/sql";
import { describe, expect, onTestFinished, test } from "vitest";
import { application, keyColumn, newKey, openServers, provide, until } from "./server.js";
import { ask, claim, sleep } from "./store.js";

const servers = await openServers("postgres", "mariadb", "mysql");

describe.each(servers)("a forced release on $name", (server) => {
  const { database } = server;
  const linked = async () => {
    const link = await database.link();
    onTestFinished(() => link.close());
    const provider = provide(link.url);
    await provider.connect();
    return { link, provider };
  };

  for (const mode of ["exclusive", "shared"] as const) {
    test(`of a ${mode} hold whose answer is cut is rejected, and asked for again it leaves the next in line alone`, async () => {
      const { link, provider } = await linked();
      const key = newKey();
      const others = provide(database.url);
      const holder = claim(others, key, 20_000, { mode });
      await ask(holder);
      const [lease] = await database.query(`SELECT claim FROM dlock_leases WHERE ${keyColumn(server)} = '${key}'`);
      // Only the statement that ends the lease names its claim.
      const done = link.cutAnswer(new RegExp(String(lease?.["claim"])));
      await expect(provider.forceRelease(key)).rejects.toMatchObject({ code: "LOCK_BACKEND", retryable: true });
      await done;
      const next = claim(others, key, 20_000);
      await until(async () => (await ask(next)) !== undefined);
      await sleep(300);
      expect(await (next as LeaseClaim).renew(20_000)).toBe(true);
      expect(await (holder as LeaseClaim).renew(20_000)).toBe(false);
    });
  }

  test("that comes late, behind a row that somebody else is about to take, ends nothing that it has not seen", async () => {
    const provider = provide(database.url);
    const key = newKey();
    await ask(claim(provider, key, 20_000));
    const trx = await application(database.url).transaction();
    await trx.raw(`UPDATE dlock_leases SET claim = 'next', version = version + 1 WHERE ${keyColumn(server)} = ?`, [
      key,
    ]);
    const forced = provider.forceRelease(key);
    await sleep(300);
    await trx.commit();
    expect(await forced).toBe(false);
    expect((await provider.inspect(key)).holders).toHaveLength(1);
  });

  test("ends a hold whose token was raised, and readers who go on joining", async () => {
    const provider = provide(database.url);
    const key = newKey();
    const holder = claim(provider, key, 20_000) as LeaseClaim;
    const token = (await ask(holder)) ?? 0n;
    expect(await holder.raise?.(token + 1_000n)).toBe(true);
    expect(await provider.forceRelease(key)).toBe(true);
    expect(await holder.renew(20_000)).toBe(false);
    const readers = [1, 2, 3].map(() => claim(provider, key, 20_000, { mode: "shared" }) as LeaseClaim);
    for (const reader of readers) await until(async () => (await ask(reader)) !== undefined);
    expect(await provider.forceRelease(key)).toBe(true);
    for (const reader of readers) expect(await reader.renew(20_000)).toBe(false);
    expect(await provider.forceRelease(key)).toBe(false);
  });
});

test("a forced release in a file ends the hold that it sees, and no other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dlock-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const provider = sqlProvider({ filename: join(folder, "locks.db") });
  onTestFinished(() => provider.close());
  const [first, second] = [claim(provider, "k", 20_000), claim(provider, "k", 20_000)];
  await ask(first);
  expect(await Promise.all([provider.forceRelease("k"), provider.forceRelease("k")])).toContain(true);
  await ask(second);
  expect(await (second as LeaseClaim).renew(20_000)).toBe(true);
});
