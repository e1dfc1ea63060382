import { configDefaults, defineConfig } from "vitest/config";

// Leaving a backend out is explicit: `DLOCK_TEST_BACKENDS`, a list or `none`. The testbed says at the end what was run.
// A package of one backend is left out whole; the tests of packages/sql, which has several, ask `isSelected`.
const chosen = process.env["DLOCK_TEST_BACKENDS"];
const leftOut = ["redis", "zookeeper"].filter((backend) => chosen && !chosen.split(",").includes(backend));

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", "chaos/test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...leftOut.map((backend) => `packages/${backend}/**`)],
    // Sees to real servers, and says at the end which were run.
    globalSetup: ["packages/testbed/dist/vitest.js"],
    pool: "forks",
    // Tests that look for leaks force a collection.
    execArgv: ["--expose-gc"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default", "json"],
    outputFile: { json: ".vitest-results.json" },
    coverage: { include: ["packages/*/src/**"] },
  },
});
