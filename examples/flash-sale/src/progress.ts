import { Presets, SingleBar } from "cli-progress";

/** Shows how many buyers were served: a bar on a terminal, a few lines elsewhere. */
export interface Progress {
  step(): void;
  [Symbol.dispose](): void;
}

export function progress(total: number): Progress {
  const live = process.stdout.isTTY && !process.env["CI"];
  return live ? bar(total) : lines(total);
}

function bar(total: number): Progress {
  const shown = new SingleBar(
    {
      format: "  {bar} {value}/{total} buyers",
      stream: process.stdout,
      barsize: 40,
      hideCursor: true,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  shown.start(total, 0);
  return { step: () => shown.increment(), [Symbol.dispose]: () => shown.stop() };
}

function lines(total: number): Progress {
  let done = 0;
  return {
    step() {
      done += 1;
      if (done % Math.ceil(total / 3) === 0 || done === total) console.log(`  ${done}/${total} buyers`);
    },
    [Symbol.dispose]() {},
  };
}
