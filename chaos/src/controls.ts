import { rmSync } from "node:fs";
import { join } from "node:path";
import { backends } from "./backends.js";
import { type Cell, runCell } from "./cell.js";
import type { DefectName } from "./defect.js";

/** What the checkers noticed of something that is broken on purpose. */
export interface Control {
  readonly defect: DefectName;
  readonly noticed: readonly string[];
}

/** Where each defect does its harm. */
const arenas: Readonly<Record<DefectName, Cell>> = {
  "no-exclusion": { nemesis: "none", seconds: 4 },
  "one-token": { nemesis: "holder-paused", seconds: 8 },
  "blind-renewal": { nemesis: "late-then-frozen", seconds: 8 },
  "hasty-renewal": { nemesis: "answers-slow", seconds: 12 },
  "no-line": { nemesis: "none", seconds: 6 },
  "left-timer": { nemesis: "none", seconds: 3 },
  "left-listener": { nemesis: "none", seconds: 3 },
  // The last one: what it leaves would be found by others.
  "eternal-lease": { nemesis: "holder-killed", seconds: 24 },
};

/** Runs every defect on Redis. */
export async function runControls(root: string, seed: number): Promise<readonly Control[]> {
  const folder = join(root, "controls");
  const ground = await backends["redis"]?.(4);
  if (!ground) throw new Error("there is no redis");
  const terms = { seed, sections: 0, faults: 0, folder, say: () => {} };
  const controls: Control[] = [];
  try {
    for (const [name, cell] of Object.entries(arenas)) {
      const defect = name as DefectName;
      const { violations } = await runCell(ground, cell, { ...terms, defect });
      controls.push({ defect, noticed: Object.keys(violations) });
    }
  } finally {
    await ground.stop();
    // Their histories are of no use, and not to be counted.
    rmSync(folder, { recursive: true, force: true });
  }
  return controls;
}
