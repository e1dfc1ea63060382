import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LockConfigError } from "@dlock/core";

export const drivers = ["better-sqlite3", "libsql"] as const;
export type Driver = (typeof drivers)[number];

type Open = new (filename: string) => { close(): unknown };

/** The driver asked for, else whichever is installed and works here. Throws `LockConfigError` that says what to install. */
export function loadDriver(wanted?: Driver): unknown {
  const troubles = new Set<string>();
  const application = ["package.json", process.argv[1] ?? ""].map((path) => pathToFileURL(resolve(path)).href);
  for (const from of [import.meta.url, ...application]) {
    for (const name of wanted === undefined ? drivers : [wanted]) {
      const found = find(createRequire(from), name, troubles);
      if (found !== undefined) return found;
    }
  }
  const remedy = wanted === "better-sqlite3" ? `better-sqlite3${hasNode(22) ? "" : "@12"}` : "libsql";
  const accepted = ["a driver for SQLite to be installed: npm install " + remedy, ...troubles].join("; ");
  throw new LockConfigError("driver", wanted ?? drivers.join(" or "), accepted);
}

function find(require: NodeJS.Require, name: Driver, troubles: Set<string>): unknown {
  try {
    require.resolve(name);
  } catch {
    return undefined;
  }
  try {
    if (name === "better-sqlite3") checkNode(require);
    const driver = require(name) as Open;
    // Native parts are loaded, or found to be missing, only by the first connection.
    new driver(":memory:").close();
    return driver;
  } catch (error) {
    troubles.add(`${name} is installed but does not load: ${String(error).split("\n")[0]}`);
    return undefined;
  }
}

/** Before it is loaded: on an older Node it would take the process down, not throw. */
function checkNode(require: NodeJS.Require): void {
  const { version } = JSON.parse(readFileSync(require.resolve("better-sqlite3/package.json"), "utf8")) as {
    version: string;
  };
  if (Number.parseInt(version, 10) >= 13 && !hasNode(22))
    throw new Error(`${version} needs Node 22, this is ${process.version}`);
}

function hasNode(major: number): boolean {
  return Number.parseInt(process.versions.node, 10) >= major;
}
