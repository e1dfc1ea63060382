import { conformance } from "@dlock/conformance";
import { isSelected, startPgbouncer, startPostgres } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { serverHarness } from "./server-harness.js";
import { guarantees, shared } from "./version-harness.js";

// Less than the laws' clients need at once: transactions of different clients do share sessions.
if (isSelected("postgres") && isSelected("pgbouncer"))
  describe("strategy version behind pgbouncer in transaction mode", async () => {
    const postgres = await startPostgres();
    const behind = await startPgbouncer(postgres, { default_pool_size: "3", server_login_retry: "1" });
    afterAll(async () => {
      await behind.stop();
      await postgres.stop();
    });
    const options = { strategy: "version" } as const;
    conformance(test.concurrent, {
      ...shared,
      ...serverHarness({ name: "pgbouncer-version", database: postgres, behind, guarantees, options }),
    });
  });
