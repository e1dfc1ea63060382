import { run } from "./run.mjs";

const steps = [
  { name: "types", command: "turbo run typecheck --output-logs=errors-only" },
  { name: "lint", command: "oxlint" },
  { name: "format", command: "oxfmt --check ." },
  { name: "unused code", command: "knip" },
  { name: "generated files", command: "node scripts/guarantees.mjs --check" },
  { name: "workspace", command: "sherif" },
  { name: "package contents", command: "turbo run pack:check --output-logs=errors-only" },
  { name: "tarballs", command: "node scripts/pack-test.mjs", show: true },
];

/** Runs every step, also after one has failed, and ends with how many passed. */
export async function check() {
  let failed = 0;
  for (const { name, command, show = false } of steps) {
    const start = performance.now();
    const [program, ...args] = command.split(" ");
    const { status, output } = await run(program, args, { show, timeout: 300_000 });
    if (status !== 0) {
      failed += 1;
      if (output !== "") console.log(output.trimEnd());
    }
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${status === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  }
  console.log(`${steps.length - failed} passed, ${failed} failed`);
  return { status: failed === 0 ? 0 : 1 };
}
