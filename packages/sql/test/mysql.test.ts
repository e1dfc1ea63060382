import { isSelected, startMariadb, startMysql } from "@dlock/testbed";
import { sqlProvider } from "@dlock/sql";
import { describe, expect, onTestFinished, test } from "vitest";
import { application, newKey, newTable, openServers, provide } from "./server.js";
import { ask, claim, sleep } from "./store.js";

const servers = await openServers("mariadb", "mysql");

describe.each(servers)("strategy version on $name", ({ name, database }) => {
  test("sessions in different time zones, and modes of SQL, agree about a lease", async () => {
    const key = newKey();
    const inZone = (zone: string, mode: string) => {
      const afterCreate = (
        raw: { query(sql: string, done: (error: Error | null) => void): void },
        done: (error: Error | null) => void,
      ) => raw.query(`SET time_zone = '${zone}', sql_mode = '${mode}'`, done);
      const provider = sqlProvider(application(database.url, { pool: { min: 0, max: 2, afterCreate } }));
      onTestFinished(() => provider.close());
      return provider;
    };
    const [east, west] = [inZone("+13:00", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"), inZone("-12:00", "PIPES_AS_CONCAT")];
    const holder = claim(east, key, 5_000, { owner: `it's "me" \\ 😀` });
    const token = (await ask(holder)) ?? 0n;
    expect(Math.abs(Number(token) / 1_000 - Date.now())).toBeLessThan(5_000);
    expect(await ask(claim(west, key))).toBeUndefined();
    const [seen] = (await west.inspect(key)).holders;
    expect(seen?.owner).toBe(`it's "me" \\ 😀`);
    expect(seen?.expiresIn).toBeGreaterThan(4_000);
    expect(seen?.expiresIn).toBeLessThanOrEqual(5_000);
    await holder.release();
    expect(await ask(claim(west, key))).toBeGreaterThan(token);
  });

  test("a clock that is set back while a reader makes a place for itself does not let it in", async () => {
    const [key, table] = [newKey(), newTable()];
    const provider = provide(database.url, { table });
    const [before, reader] = [1, 2].map(() => claim(provider, key, 60_000, { mode: "shared" }));
    if (!before || !reader) throw new Error();
    const token = (await ask(before)) ?? 0n;
    await before.release();
    // As if it were set back by a minute after the place was made.
    await database.query(
      `CREATE TRIGGER ${table}_back BEFORE INSERT ON ${table}_holders FOR EACH ROW SET NEW.expires = NEW.expires + 60000000`,
    );
    // Nobody holds the lease, and nobody can have it yet.
    const busy = await application(database.url).transaction();
    await busy(table).where({ key }).forUpdate();
    const asked = ask(reader);
    await sleep(100);
    await busy.commit();
    expect((await asked) ?? (await ask(reader))).toBeGreaterThan(token);
  });

  test.runIf(isSelected(name))(
    "a server whose clock stands still during a statement keeps leases all the same",
    async () => {
      const still = await (name === "mariadb" ? startMariadb : startMysql)({ "sysdate-is-now": "ON" });
      onTestFinished(() => still.stop());
      const provider = provide(still.url);
      const [key, dead] = [newKey(), newKey()];
      const holder = claim(provider, key, 600);
      const [token] = [await ask(holder), await ask(claim(provider, dead, 200))];
      await sleep(400);
      expect(await holder.renew(600)).toBe(true);
      await sleep(400);
      expect(await ask(claim(provider, key))).toBeUndefined();
      expect(await ask(claim(provider, dead))).toBeTypeOf("bigint");
      expect(await ask(holder)).toBe(token);
    },
  );
});
