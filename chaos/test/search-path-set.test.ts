import { isSelected, type Pgbouncer, startPgbouncer, startPostgres, type StartedDatabase } from "@dlock/testbed";
import { Client } from "pg";
import { afterEach, describe, expect, test } from "vitest";
import type { Scene } from "../src/fault.js";
import { searchPathSet } from "../src/faults/search-path-set.js";

const scene = {} as Scene;
let [postgres, pooler]: [StartedDatabase?, Pgbouncer?] = [];

afterEach(async () => {
  await pooler?.stop();
  await postgres?.stop();
});

describe.runIf(isSelected("postgres") && isSelected("pgbouncer"))("search-path-set", () => {
  test("leaves its path to whoever has the sessions next, and was felt when that was one of ours", async () => {
    postgres = await startPostgres();
    pooler = await startPgbouncer(postgres, { default_pool_size: "8" });
    const fault = searchPathSet(pooler.url, postgres);
    expect(await (await fault.strike(scene))?.()).toBe(false);
    const client = new Client({ connectionString: pooler.url });
    await client.connect();
    try {
      const path = async () => (await client.query("select current_setting('search_path') as dlock")).rows[0];
      const heal = await fault.strike(scene);
      expect(await path()).toEqual({ dlock: "elsewhere" });
      expect(await heal?.()).toBe(true);
      expect(await path()).toEqual({ dlock: '"$user", public' });
    } finally {
      await client.end();
    }
  });
});
