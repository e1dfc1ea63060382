import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { LockConfigError } from "../errors.js";

const names = ["dlock.config.json", "dlock.config.js", "dlock.config.mjs", "dlock.config.ts"];

/** What the search for a configuration file came to. */
export interface FoundConfig {
  readonly file?: string | undefined;
  /** A file that lies too far up to be meant for certain. */
  readonly beyond?: string | undefined;
  /** The folder in which the search ended. */
  readonly border: string;
}

/**
 * The nearest configuration file, from the folder up to the nearest one with a `package.json`; without any, in the folder alone: what
 * lies above may be anybody's, and names code to run. Two side by side are a `LockConfigError`: which counts would be a guess.
 */
export function findConfig(from: string = process.cwd()): FoundConfig {
  const start = resolve(from);
  const above = foldersFrom(start);
  const border = above.find((folder) => existsSync(join(folder, "package.json"))) ?? start;
  const within = above.slice(0, above.indexOf(border) + 1);
  for (const folder of within) {
    const [file, other] = configsIn(folder);
    if (other !== undefined) {
      throw new LockConfigError("configuration file", configsIn(folder).join(" and "), "one of them");
    }
    if (file !== undefined) return { file: join(folder, file), border };
  }
  for (const folder of above.slice(within.length)) {
    const [beyond] = configsIn(folder);
    if (beyond !== undefined) return { beyond: join(folder, beyond), border };
  }
  return { border };
}

function configsIn(folder: string): readonly string[] {
  return names.filter((name) => existsSync(join(folder, name)));
}

/** The folder and those above it, the nearest first. */
function foldersFrom(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...foldersFrom(parent)];
}
