import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { laws, type Harness } from "@dlock/conformance";
import { describe, expect, test } from "vitest";

const { harness } = (await import(new URL("./runners/harness.mjs", import.meta.url).href)) as {
  readonly harness: Harness;
};
const all = laws(harness);
const skipped = all.filter(({ skip }) => skip !== undefined);

interface Outcome {
  readonly status: number;
  readonly output: string;
}

function node(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  // The runner's own variables are not for the runners it starts.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...rest } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: { ...rest, ...env } }, (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === "number" ? error.code : 0, output: stdout + stderr }),
    );
  });
}

const nodeTest = fileURLToPath(new URL("./runners/node-test.mjs", import.meta.url));
const concurrentNodeTest = fileURLToPath(new URL("./runners/node-test-concurrent.mjs", import.meta.url));
const mochaFile = fileURLToPath(new URL("./runners/mocha.mjs", import.meta.url));
const mocha = createRequire(import.meta.url).resolve("mocha/bin/mocha.js");
const untrue = { UNTRUE: "1" };

// Under vitest they run in memory.test.ts.
describe("the laws run under", () => {
  test.concurrent("node:test, which reports skips with their reasons", { timeout: 120_000 }, async () => {
    const { status, output } = await node(["--test", "--test-reporter=tap", nodeTest]);
    expect(output).toContain(`# pass ${all.length - skipped.length}`);
    expect(output).toContain(`# skipped ${skipped.length}`);
    expect(output).toContain("(harness lends no spawn)");
    expect(status).toBe(0);
  });

  test.concurrent("node:test, several at a time", { timeout: 120_000 }, async () => {
    const { status, output } = await node(["--test", "--test-reporter=tap", concurrentNodeTest], { TTL: "600" });
    expect(output).toContain(`# pass ${all.length - skipped.length}`);
    expect(status).toBe(0);
  });

  test.concurrent("node:test, which fails when a law is broken", { timeout: 120_000 }, async () => {
    const { status, output } = await node(["--test", "--test-reporter=tap", nodeTest], untrue);
    expect(output).toContain("# fail 1");
    expect(status).toBe(1);
  });

  test.concurrent("mocha, which reports skips with their reasons", { timeout: 120_000 }, async () => {
    const { status, output } = await node([mocha, mochaFile]);
    expect(output).toContain(`${all.length - skipped.length} passing`);
    expect(output).toContain(`${skipped.length} pending`);
    expect(output).toContain("(harness lends no spawn)");
    expect(status).toBe(0);
  });

  test.concurrent("mocha, which fails when a law is broken", { timeout: 120_000 }, async () => {
    const { status, output } = await node([mocha, mochaFile], untrue);
    expect(output).toContain("1 failing");
    expect(status).toBe(1);
  });
});
