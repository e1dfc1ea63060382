import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { LockConfigError } from "../errors.js";

const names = ["dlock.config.json", "dlock.config.js", "dlock.config.mjs", "dlock.config.ts"];

/** The nearest configuration file, from the folder upwards. Two side by side are a `LockConfigError`: which counts would be a guess. */
export function findConfig(from: string = process.cwd()): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const found = names.filter((name) => existsSync(join(folder, name)));
    if (found.length > 1) throw new LockConfigError("configuration file", found.join(" and "), "one of them");
    if (found[0] !== undefined) return join(folder, found[0]);
    if (folder === dirname(folder)) return undefined;
  }
}
