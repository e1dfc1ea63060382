import { defineConfig } from "vitest/config";

// With other implementations of the same locks: `npm run test:interop`. Other servers are not seen to.
process.env["DLOCK_TEST_BACKENDS"] ||= "zookeeper";

export default defineConfig({
  test: {
    include: ["packages/*/interop/**/*.test.ts"],
    globalSetup: ["packages/testbed/dist/vitest.js"],
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
