import { LockBackendError } from "@dlock/core";
import { expect, test } from "vitest";
import type { Database, Reply } from "../src/database.js";
import { LeaseTable } from "../src/lease-table.js";
import { postgresDialect } from "../src/postgres-dialect.js";
import { now } from "./store.js";

const request = { key: "key", id: "id", owner: "test", ttl: 1_000, mode: "exclusive", limit: 1, join: true } as const;

/** A server whose clock is so many ms ahead, which takes a lease unless it is told to too late. */
function server(): { ahead: number; readonly attempts: number[]; readonly table: LeaseTable } {
  const attempts: number[] = [];
  const one = (row: Reply["rows"][number]): Reply => ({ rows: [row], affected: 1 });
  const database: Database = {
    close: async () => {},
    query: async (sql, bindings, { until }) => {
      if (now() >= until) throw new LockBackendError("late", { retryable: true, noEffect: true });
      const clock = (now() + made.ahead) * 1_000;
      if (sql.includes("AS layout")) return one({ layout: "1", clock: String(clock) });
      if (!sql.includes("SKIP LOCKED") || sql.startsWith("DELETE")) return one({});
      attempts.push(Number(bindings["deadline"]) - clock);
      return one({ token: clock < Number(bindings["deadline"]) ? "7" : null, clock: String(clock) });
    },
  };
  const made = { ahead: 1e9, attempts, table: new LeaseTable(database, postgresDialect("t"), "t") };
  return made;
}

test("a statement carries its deadline in the server's time, never later than it is", async () => {
  const { table, attempts } = server();
  expect((await table.take(request, { until: now() + 500 })).token).toBe(7n);
  expect(attempts[0]).toBeLessThanOrEqual(500_000);
  expect(attempts[0]).toBeGreaterThan(300_000);
});

test("a clock that was set forward costs one more round trip, not the lock", async () => {
  const made = server();
  await made.table.take(request, { until: now() + 500 });
  made.ahead += 3_600_000;
  expect((await made.table.take(request, { until: now() + 500 })).token).toBe(7n);
  expect(made.attempts).toHaveLength(3);
});

test("a clock that was set back is noticed as soon as it is seen", async () => {
  const made = server();
  await made.table.take(request, { until: now() + 500 });
  made.ahead -= 3_600_000;
  await made.table.take(request, { until: now() + 500 });
  await made.table.take(request, { until: now() + 500 });
  expect(made.attempts.at(-1)).toBeLessThanOrEqual(500_000);
});
