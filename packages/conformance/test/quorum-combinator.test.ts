import type { Guarantees } from "@dlock/core";
import { quorum } from "@dlock/core/combinators";
import { conformance } from "@dlock/conformance";
import { describe, test } from "vitest";
import { memoryGuarantees, memoryMembers, members, withSessions } from "./memory-members.js";

const guarantees: Guarantees = {
  ...memoryGuarantees,
  exclusion: "quorum",
  failover: "may-forget",
  order: "none",
  waiting: "poll",
  modes: ["exclusive", "shared"],
};

describe("quorum, of leases", () =>
  conformance(test.concurrent, {
    ...members,
    ...memoryMembers(5, (all) => quorum(all)),
    name: "quorum",
    guarantees,
  }));

describe("quorum, of leases and sessions", () =>
  conformance(test.concurrent, {
    ...members,
    ...memoryMembers(5, (all) => quorum(all.map((one, place) => (place % 2 === 0 ? one : withSessions(one))))),
    name: "mixed-quorum",
    guarantees: { ...guarantees, alive: "session" },
  }));
