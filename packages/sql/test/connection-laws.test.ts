import { conformance, type Harness } from "@dlock/conformance";
import type { Guarantees } from "@dlock/core";
import { isSelected, startMariadb, startMysql, startPostgres } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { serverHarness } from "./server-harness.js";

const guarantees: Omit<Guarantees, "modes"> = {
  exclusion: "server",
  failover: "may-forget",
  fencing: "unless-data-and-clock-lost",
  alive: "connection",
  order: "none",
  waiting: "push",
};

const servers = {
  // Laws run side by side, and every peer of theirs has connections of its own.
  postgres: () => startPostgres({ max_connections: "400" }),
  mariadb: () => startMariadb({ "max-connections": "400" }),
  mysql: () => startMysql({ "max-connections": "400" }),
};
// MySQL and MariaDB count in seconds how long they keep a connection.
const timings = {
  postgres: { ttl: 600, slack: 900 },
  mariadb: { ttl: 1_000, slack: 900 },
  mysql: { ttl: 1_000, slack: 900 },
};

const places = (["postgres", "mariadb", "mysql"] as const)
  .filter((name) => isSelected(name))
  .flatMap((name) => (["for-update", "advisory"] as const).map((strategy) => ({ name, strategy })));

describe.each(places)("strategy $strategy on $name", ({ name, strategy }) => {
  const sharing = strategy === "for-update" || name === "postgres";
  const modes: Guarantees["modes"] = sharing ? ["exclusive", "shared"] : ["exclusive"];
  // The application's pool is never asked for a connection, so each strategy meets one size here, and both with DLOCK_TEST_POOLS=all.
  const all = process.env["DLOCK_TEST_POOLS"] === "all";
  const one = (strategy === "for-update") === (name === "postgres") ? 2 : 10;
  describe.each(all ? [2, 10] : [one])("lent a knex with a pool of %i", async (applicationPool) => {
    const database = await servers[name]();
    afterAll(() => database.stop());
    // Laws hold more locks at once than an application is given connections for them by default.
    const options = { strategy, connections: 100 } as const;
    const harness: Harness = {
      ...serverHarness({
        name: `${name}-${strategy}-${applicationPool}`,
        database,
        guarantees: { ...guarantees, modes },
        options,
        applicationPool,
      }),
      offers: ["inspect", "raise", "waitTurn", ...(sharing && strategy === "advisory" ? (["downgrade"] as const) : [])],
      timing: timings[name],
    };
    conformance(test.concurrent, harness);
  });
});
