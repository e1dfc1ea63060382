import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";

// Leaving a backend out is explicit: `DLOCK_TEST_BACKENDS`, a list or `none`. The testbed says at the end what was run.
// A package of one backend is left out whole; the tests of packages/sql, which has several, ask `isSelected`.
const chosen = process.env["DLOCK_TEST_BACKENDS"];
const leftOut = ["redis", "zookeeper"].filter((backend) => chosen && !chosen.split(",").includes(backend));

/** What all projects have in common. */
const common = {
  pool: "forks",
  // Tests that look for leaks force a collection.
  execArgv: ["--expose-gc"],
  testTimeout: 30_000,
  hookTimeout: 30_000,
} as const;

export default defineConfig({
  test: {
    // Sees to real servers, and says at the end which were run.
    globalSetup: ["packages/testbed/dist/vitest.js"],
    reporters: ["default", "json"],
    outputFile: { json: ".vitest-results.json" },
    coverage: { include: ["packages/*/src/**"] },
    projects: [
      {
        test: {
          ...common,
          name: "servers and processes",
          include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", "chaos/test/**/*.test.ts"],
          exclude: [
            ...configDefaults.exclude,
            "packages/conformance/**",
            ...leftOut.map((backend) => `packages/${backend}/**`),
          ],
          // They wait more than they work.
          maxWorkers: Math.max(3, availableParallelism()),
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: "laws",
          include: ["packages/conformance/test/**/*.test.ts"],
          // Hundreds of trials at the same time, within one process: not for company.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
