import type { LockProvider } from "@dlock/core";
import { observe, prefix, route } from "@dlock/core/combinators";
import { conformance, type Harness } from "@dlock/conformance";
import { describe, test } from "vitest";
import { memoryGuarantees, memoryMembers, members } from "./memory-members.js";

const forwarding = { ...members, offers: [...(members.offers ?? []), "downgrade"] } satisfies Partial<Harness>;

describe("prefix", () =>
  conformance(test.concurrent, {
    ...forwarding,
    ...memoryMembers(1, ([only]) => prefix(only as LockProvider, "tenant:")),
    name: "prefix",
    guarantees: memoryGuarantees,
  }));

describe("observe", () =>
  conformance(test.concurrent, {
    ...forwarding,
    ...memoryMembers(1, ([only]) => observe(only as LockProvider, () => {})),
    name: "observe",
    guarantees: memoryGuarantees,
  }));

describe("route", () =>
  conformance(test.concurrent, {
    ...forwarding,
    ...memoryMembers(2, (both) => {
      const [odd, even] = both as readonly [LockProvider, LockProvider];
      return route({ default: even, routes: { "*1": odd, "*3": odd, "*5": odd, "*7": odd, "*9": odd } });
    }),
    name: "route",
    guarantees: memoryGuarantees,
  }));
