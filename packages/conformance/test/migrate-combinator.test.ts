import type { Guarantees, LockProvider } from "@dlock/core";
import { migrate } from "@dlock/core/combinators";
import { conformance } from "@dlock/conformance";
import { describe, test } from "vitest";
import { memoryGuarantees, memoryMembers, members, withSessions } from "./memory-members.js";

const guarantees: Guarantees = { ...memoryGuarantees, order: "none" };
const names = { from: "old", to: "new" };

describe("migrate, of two leases", () =>
  conformance(test.concurrent, {
    ...members,
    ...memoryMembers(2, (both) => {
      const [from, to] = both as readonly [LockProvider, LockProvider];
      return migrate({ from, to, names });
    }),
    name: "migrate",
    guarantees,
  }));

describe("migrate, of a lease and a session", () =>
  conformance(test.concurrent, {
    ...members,
    ...memoryMembers(2, (both) => {
      const [from, to] = both as readonly [LockProvider, LockProvider];
      return migrate({ from, to: withSessions(to), names });
    }),
    name: "mixed-migrate",
    guarantees: { ...guarantees, alive: "session" },
  }));
