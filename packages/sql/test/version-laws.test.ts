import { conformance } from "@dlock/conformance";
import { isSelected, openMariadb, openMysql, openPostgres } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { serverHarness } from "./server-harness.js";
import { guarantees, shared } from "./version-harness.js";

const servers = { postgres: openPostgres, mariadb: openMariadb, mysql: openMysql };
for (const name of ["postgres", "mariadb", "mysql"] as const) {
  if (!isSelected(name)) continue;
  describe.each([2, 10])(
    `strategy version on ${name}, with %i connections of its own and as many of the application's`,
    async (size) => {
      const database = await servers[name]();
      afterAll(() => database.stop());
      const options = { strategy: "version", connections: size } as const;
      const harness = { name: `${name}-version-${size}`, database, guarantees, options, applicationPool: size };
      conformance(test.concurrent, { ...shared, ...serverHarness(harness) });
    },
  );
}
