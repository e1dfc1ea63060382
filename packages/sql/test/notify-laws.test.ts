import { conformance } from "@dlock/conformance";
import { isSelected, openPostgres } from "@dlock/testbed";
import { afterAll, describe, test } from "vitest";
import { serverHarness } from "./server-harness.js";
import { guarantees, shared } from "./version-harness.js";

if (isSelected("postgres"))
  describe("strategy version with notify on postgres", async () => {
    const database = await openPostgres();
    afterAll(() => database.stop());
    const options = { strategy: "version", notify: true } as const;
    const pushed = { ...guarantees, waiting: "push" } as const;
    conformance(test.concurrent, {
      ...shared,
      ...serverHarness({ name: "postgres-notify", database, guarantees: pushed, options }),
    });
  });
