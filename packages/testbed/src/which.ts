import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** The path of a program. In an absolute one, a `*` is any folder; the one with the highest number is taken. */
export function which(command: string): string | undefined {
  if (isAbsolute(command)) return expand(command).find(isExecutable);
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, command)).find(isExecutable);
}

function expand(pattern: string): readonly string[] {
  const [before, after] = pattern.split("/*/", 2);
  if (before === undefined || after === undefined) return [pattern];
  const folders = existsSync(before) ? readdirSync(before) : [];
  return folders
    .toSorted((one, other) => other.localeCompare(one, "en", { numeric: true }))
    .map((folder) => join(before, folder, after));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
