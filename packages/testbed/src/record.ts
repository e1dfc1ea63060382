import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "./backend.js";
import { watch } from "./watchdog.js";

// Inherited by the processes that run the tests.
const variable = "DLOCK_TESTBED_RECORD";

/** Notes, for the summary of this test run, that a server was started or lent. */
export function record(backend: Backend, how: string): void {
  const file = process.env[variable];
  if (file) appendFileSync(file, `${backend}\t${how}\n`);
}

/** From now on, in this process and its children, notes are kept; returns what reads and removes them. */
export function startRecord(): () => readonly { readonly backend: string; readonly how: string }[] {
  const folder = mkdtempSync(join(tmpdir(), "dlock-record-"));
  const file = join(folder, "servers");
  const forget = watch({ kind: "folder", path: folder });
  process.env[variable] = file;
  appendFileSync(file, "");
  return () => {
    const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
    rmSync(folder, { recursive: true });
    forget();
    delete process.env[variable];
    return lines.map((line) => ({
      backend: line.slice(0, line.indexOf("\t")),
      how: line.slice(line.indexOf("\t") + 1),
    }));
  };
}
