// Stands behind every script of the root package.json: prepares the house, then runs what was asked for.
import { check } from "./check.mjs";
import { build, checkNode, getPnpm, install, npx, PreparationError, say } from "./prepare.mjs";
import { run } from "./run.mjs";

const [name, ...args] = process.argv.slice(2);
const vitest = ["node_modules/vitest/vitest.mjs", "run", ...args];

const commands = {
  demo: () => run(process.execPath, ["examples/flash-sale/dist/main.js", ...args]),
  test: () => run(process.execPath, vitest),
  "test:interop": () => run(process.execPath, [...vitest, "--config", "vitest.interop.config.ts"]),
  "test:nodes": testNodes,
  bench: () =>
    run(
      process.execPath,
      args[0] === "striped" ? ["bench/striped.mjs", ...args.slice(1)] : ["bench/redis.mjs", ...args],
    ),
  chaos: () => run(process.execPath, ["chaos/dist/main.js", ...args]),
  check,
  generate: () => run(process.execPath, ["scripts/guarantees.mjs"]),
  release: () => run("changeset", ["publish"]),
};

async function testNodes() {
  let failed = 0;
  for (const node of ["node@22", "node@24"]) {
    say(`test under ${node}`);
    const { status } = await npx(node, ["node", ...vitest]);
    if (status !== 0) failed += 1;
  }
  return { status: failed };
}

try {
  checkNode();
  await getPnpm();
  if (name === "pnpm") {
    process.exitCode = (await run("pnpm", args)).status;
  } else {
    await install();
    await build();
    say(name);
    process.exitCode = (await commands[name]()).status;
  }
} catch (error) {
  if (!(error instanceof PreparationError)) throw error;
  console.error(`dlock: ${error.message}`);
  process.exitCode = 1;
}
