import { readFile } from "node:fs/promises";
import { extname, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LockConfigError } from "../errors.js";

/** Whether a path is one of a configuration file. */
export const configFile: RegExp = /\.(json|[cm]?[jt]s)$/;

/** As it is named in errors: from the working directory, where that is shorter. */
export function shownPath(file: string): string {
  const near = relative(process.cwd(), file);
  return near.startsWith("..") ? file : near;
}

/** What a configuration file holds, unchecked. Throws `LockConfigError`. */
export async function readConfig(file: string): Promise<unknown> {
  if (extname(file) === ".json") return parse(file, await readText(file));
  const module = await load(file);
  if (!("default" in module)) {
    throw new LockConfigError(shownPath(file), Object.keys(module), "the configuration as its default export");
  }
  return module.default;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

function parse(file: string, text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    // V8 says where, and quotes what may be a password: only the place is passed on.
    const [, offset] = /position (\d+)/.exec((error as Error).message) ?? [];
    const line = offset === undefined ? "" : ` (line ${text.slice(0, Number(offset)).split("\n").length})`;
    throw new LockConfigError("configuration file", shownPath(file), `JSON without mistakes${line}`);
  }
}

async function load(file: string): Promise<object> {
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as object;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ERR_UNKNOWN_FILE_EXTENSION") {
      const accepted = `a .json, .js or .mjs file: Node ${process.versions.node} does not import TypeScript (22.18 and later do, or a loader such as tsx)`;
      throw new LockConfigError("configuration file", shownPath(file), accepted, undefined, error);
    }
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): LockConfigError {
  const why = error instanceof Error ? error.message : String(error);
  return new LockConfigError(
    "configuration file",
    shownPath(file),
    `a file that can be read: ${why}`,
    undefined,
    error,
  );
}
