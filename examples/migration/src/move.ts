import type { Config } from "@dlock/core";
import type { Fleet } from "./fleet.js";
import { type Backends, both, only } from "./stage.js";

export interface Move {
  readonly backends: Backends;
  readonly from: string;
  readonly to: string;
  /** How many processes the fleet has. */
  readonly size: number;
  /** Critical sections to run, in all. */
  readonly sections: number;
  /** Called when the fleet worked for a while as it says. */
  readonly step: (processes: readonly string[]) => void;
}

/**
 * Moves a fleet that works with `from` only, one process after the other: first all of them to both backends, and only
 * then, when nobody is left who knows `from` only, all of them to `to`.
 */
export async function move(fleet: Fleet, { backends, from, to, size, sections, step }: Move): Promise<void> {
  const processes = Array.from({ length: size }, () => from);
  const share = Math.ceil(sections / (2 * size + 1));
  const go = async (): Promise<void> => {
    await fleet.work(share);
    step(processes);
  };
  const roll = async (name: string, config: Config): Promise<void> => {
    for (const place of processes.keys()) {
      // One of them is killed in the middle of its work.
      await (place === 1 ? fleet.crash(place, config) : fleet.replace(place, config));
      processes[place] = name;
      await go();
    }
  };
  await go();
  await roll("both", both(backends, from, to));
  await roll(to, only(backends, to));
}
