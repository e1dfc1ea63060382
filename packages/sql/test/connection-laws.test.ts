import { conformance, type Harness } from "@dlock/conformance";
import type { Guarantees } from "@dlock/core";
import { isSelected, startMariadb, startMysql, startPostgres } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { serverHarness } from "./server-harness.js";

const guarantees: Guarantees = {
  exclusion: "server",
  failover: "may-forget",
  fencing: "unless-data-and-clock-lost",
  alive: "connection",
  order: "none",
  waiting: "push",
  modes: ["exclusive"],
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
  describe.each([2, 10])("lent a knex with a pool of %i", async (applicationPool) => {
    const database = await servers[name]();
    afterAll(() => database.stop());
    // Laws hold more locks at once than an application is given connections for them by default.
    const options = { strategy, connections: 100 } as const;
    const harness: Harness = {
      ...serverHarness({
        name: `${name}-${strategy}-${applicationPool}`,
        database,
        guarantees,
        options,
        applicationPool,
      }),
      offers: ["inspect", "raise", "waitTurn"],
      timing: timings[name],
    };
    conformance(test.concurrent, harness);
  });
});
