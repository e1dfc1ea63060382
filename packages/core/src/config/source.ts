import { dirname, resolve } from "node:path";
import { LockConfigError } from "../errors.js";
import type { ProviderContext } from "../provider.js";
import { checkConfig, checkEntry, isObject, kinds, scheme } from "./check-config.js";
import type { Config, Entry } from "./config.js";
import { findConfig } from "./find-config.js";
import { interpolate } from "./interpolate.js";
import { at } from "./path.js";
import { configFile, readConfig, shownPath } from "./read-config.js";

const accepted =
  "a URL such as sqlite:./locks.db, the path of a .json, .js, .mjs or .ts file, { url, ...options }, { backends } or a LockProvider; without it DLOCK_URL, DLOCK_CONFIG or a dlock.config.json";

/** What to open, checked, and where it was written. */
export interface Source {
  readonly content: Entry | Config;
  /** From which the packages of third parties are looked up. */
  readonly folder: string;
  /** In front of the names of fields in errors: the file, or nothing. */
  readonly place: string;
}

/** What `where` names; without it DLOCK_URL, DLOCK_CONFIG or the nearest configuration file, which a notice names. Throws `LockConfigError`. */
export async function sourceOf(where: unknown, context: ProviderContext): Promise<Source> {
  const chosen = where ?? (process.env["DLOCK_URL"] || process.env["DLOCK_CONFIG"] || search(context));
  const here = { folder: process.cwd(), place: "" };
  if (typeof chosen === "string") {
    if (scheme.test(chosen)) return { content: checkEntry("", { url: chosen }, []), ...here };
    if (configFile.test(chosen)) return fileSource(resolve(chosen));
    // It may have been meant as a URL.
    throw new LockConfigError("where", chosen.replace(/.*@/s, "…@"), accepted);
  }
  if (isObject(chosen)) {
    if (typeof chosen["href"] === "string") return { content: checkEntry("", { url: chosen["href"] }, []), ...here };
    if (isEntry(chosen)) return { content: checkEntry("", chosen, []), ...here };
    if ("backends" in chosen) return { content: checkConfig(interpolate(chosen, "")), ...here };
  }
  throw new LockConfigError("where", chosen, accepted);
}

/** A file that nobody named: whoever runs the program should know which one it was, or was not. */
function search(context: ProviderContext): string {
  const { file, beyond, border } = findConfig();
  if (file !== undefined) {
    context.emit({ code: "CONFIG_FOUND", message: `the configuration is ${file}` });
    return file;
  }
  if (beyond === undefined) throw new LockConfigError("where", undefined, accepted);
  const why = `${beyond} is not taken, because it lies above ${border}, where the search ends`;
  const remedy = `DLOCK_CONFIG=${beyond} takes it`;
  context.emit({ code: "CONFIG_BEYOND", message: `${why}: ${remedy}` });
  throw new LockConfigError("where", undefined, `${accepted}; ${why}: ${remedy}`);
}

function fileSource(file: string): Promise<Source> {
  const place = `${shownPath(file)}: `;
  return at(place, async () => {
    const content = interpolate(await readConfig(file), "");
    return {
      content: isObject(content) && isEntry(content) ? alone(content) : checkConfig(content),
      folder: dirname(file),
      place,
    };
  });
}

/** `$schema` is for editors, and no option of an adapter. */
function alone(content: object): Entry {
  const fields = Object.entries(content).filter(([field]) => field !== "$schema");
  return checkEntry("", Object.fromEntries(fields), []);
}

function isEntry(value: object): boolean {
  return kinds.some((kind) => kind in value);
}
