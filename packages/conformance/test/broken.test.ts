import { beforeAll, describe, expect, test } from "vitest";
import { laws, type Harness } from "@dlock/conformance";
import { brokenLaws, undecidedLaws } from "./broken.js";
import { throwsIntoTheProcess } from "./broken-claims.js";
import { clientDefects } from "./client-defects.js";
import { compositionDefects } from "./composition-defects.js";
import { controls } from "./controls.js";
import { familyDefects } from "./family-defects.js";
import { judge, obeys, type Surprises } from "./judge.js";
import { modelHarness } from "./model-harness.js";
import { nameDefects } from "./name-defects.js";
import { serverDefects } from "./server-defects.js";
import { sessionDefects } from "./session-defects.js";
import { waitDefects } from "./wait-defects.js";

const defects = Object.entries({
  ...waitDefects,
  ...serverDefects,
  ...clientDefects,
  ...sessionDefects,
  ...familyDefects,
  ...compositionDefects,
  ...nameDefects,
});
const patience = { timeout: 300_000 };

describe("a provider", () => {
  // A trial is mostly waiting: many at once, whatever the runner makes of concurrency.
  const atOnce = 20;
  const verdicts = new Map<string, Surprises>();
  const trials: readonly (readonly [string, () => Harness, readonly string[], readonly string[]])[] = [
    ...defects.map(([name, defect]) => [name, defect.harness, brokenLaws(defect), undecidedLaws(defect)] as const),
    ...Object.entries(controls).map(([name, harness]) => [name, harness, [], []] as const),
  ];

  beforeAll(async () => {
    // One law listens to the process for each of them.
    process.setMaxListeners(0);
    const waiting = [...trials];
    const work = async (_: unknown, worker: number): Promise<void> => {
      // All at once they would be late for each other at first.
      await new Promise((resolve) => setTimeout(resolve, 150 * worker));
      for (let trial = waiting.shift(); trial !== undefined; trial = waiting.shift()) {
        const [name, harness, expected, undecided] = trial;
        verdicts.set(name, await judge(harness(), expected, undecided));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }, 300_000);

  for (const [name] of defects) {
    test(`that ${name} breaks the law meant for it, and obeys the others`, () => {
      expect(verdicts.get(name)).toEqual({ broken: {}, obeyed: [] });
    });
  }

  for (const name of Object.keys(controls)) {
    test(`that is whole and ${name} obeys every law`, () => {
      expect(verdicts.get(name)).toEqual({ broken: {}, obeyed: [] });
    });
  }
});

describe("of the laws that leave no room for company", () => {
  test(
    "the one about a stalled event loop is broken by those who trust their hold for ever, and obeyed by the others",
    patience,
    async () => {
      const id = "loss/stalled-loop";
      const breaking: string[] = [];
      for (const [name, { harness }] of defects) if (!(await obeys(harness(), id))) breaking.push(name);
      expect(breaking).toEqual(defects.flatMap(([name, defect]) => (brokenLaws(defect).includes(id) ? [name] : [])));
    },
  );

  test(
    "the one about errors that nobody handles is broken by a provider that throws into the process",
    patience,
    async () => {
      const listeners = process.listeners("unhandledRejection");
      process.removeAllListeners("unhandledRejection");
      process.on("unhandledRejection", () => {});
      try {
        expect(await obeys(modelHarness({ client: throwsIntoTheProcess }), "faults/nothing-unhandled")).toBe(false);
        expect(await obeys(modelHarness(), "faults/nothing-unhandled")).toBe(true);
      } finally {
        process.removeAllListeners("unhandledRejection");
        for (const listener of listeners) process.on("unhandledRejection", listener);
      }
    },
  );
});

describe("the broken providers together", () => {
  /** Core keeps these whatever a provider does, or a provider cannot break them without breaking most others. */
  const aboutCore = [
    "cleanup/grace",
    "loss/orderly",
    "loss/own-end",
    "loss/result-kept",
    "renewal/rate",
    "waiting/abort-in-section",
    "waiting/everybody-served",
    "waiting/free-again",
  ];

  test("break every other law of one process", () => {
    const broken = new Set(["faults/nothing-unhandled", ...defects.flatMap(([, defect]) => brokenLaws(defect))]);
    const unbroken = laws(modelHarness()).filter(({ id }) => !broken.has(id) && !id.startsWith("processes/"));
    expect(unbroken.map(({ id }) => id).toSorted()).toEqual(aboutCore);
  });
});
