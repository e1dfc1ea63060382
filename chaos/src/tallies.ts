import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tally } from "./tally.js";

const file = "tally.json";

/** The folder of a cell, empty. */
export function folderFor(root: string, backend: string, fault: string): string {
  const folder = join(root, backend, fault);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function writeTally(folder: string, tally: Tally): void {
  writeFileSync(join(folder, file), JSON.stringify(tally, null, 1));
}

/** A run that was broken off goes on with the cells that it lacks. */
export function hasTally(root: string, backend: string, fault: string): boolean {
  return existsSync(join(root, backend, fault, file));
}

/** Of all cells below `root`, in the order in which they were run. */
export function readTallies(root: string): readonly Tally[] {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(file));
  const tallies = files.map((path) => JSON.parse(readFileSync(join(root, path), "utf8")) as Tally);
  return tallies.toSorted((one, other) => one.begun - other.begun);
}
