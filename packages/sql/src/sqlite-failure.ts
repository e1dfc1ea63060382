import { dirname } from "node:path";
import { LockBackendError, LockConfigError, LockError } from "@dlock/core";
import { isWritable, look } from "./file.js";
import type { Source } from "./knex-client.js";

const names: Readonly<Record<number, string>> = {
  3: "PERM",
  5: "BUSY",
  6: "LOCKED",
  8: "READONLY",
  10: "IOERR",
  13: "FULL",
  14: "CANTOPEN",
  15: "PROTOCOL",
  26: "NOTADB",
};

/** Somebody else is writing, or opening, or recovering: the same statement will do later. */
export function isBusy(error: unknown): boolean {
  return ["BUSY", "LOCKED", "PROTOCOL"].includes(resultOf(error));
}

/** A failure of the driver as an error of dlock: a path that cannot work is the user's to mend, the rest is the backend's. */
export function explain(error: unknown, source: Source): LockError {
  if (error instanceof LockError) return error;
  const result = resultOf(error);
  if (["PERM", "READONLY", "CANTOPEN", "NOTADB"].includes(result)) {
    return new LockConfigError(source.field, source.value, whatWouldDo(source.value, result), undefined, error);
  }
  const said = error instanceof Error ? error.message : String(error);
  const why = isBusy(error) ? "another connection kept it locked" : said;
  const passing = isBusy(error) || ["FULL", "IOERR"].includes(result) || /no such table/.test(said);
  return new LockBackendError(`SQLite failed on ${source.value}: ${why}`, {
    cause: error,
    retryable: passing,
    noEffect: isBusy(error),
  });
}

/** The primary result code, without SQLITE_: better-sqlite3 names extended codes, libsql numbers them, and neither has one for what it could not open. */
function resultOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { code, rawCode, message } = error as { code?: unknown; rawCode?: unknown; message?: unknown };
  if (typeof rawCode === "number") return names[rawCode & 0xff] ?? "";
  const named = /^SQLITE_([A-Z]+)/.exec(String(code))?.[1];
  if (named !== undefined) return named;
  return /Cannot open database|Unable to open connection/.test(String(message)) ? "CANTOPEN" : "";
}

function whatWouldDo(file: string, result: string): string {
  if (result === "NOTADB") return "an SQLite database, or no file yet";
  const directory = dirname(file);
  if (look(file)?.isDirectory()) return "a file, not a directory";
  if (!look(directory)?.isDirectory()) return `a file in a directory that exists, which ${directory} does not`;
  if (!isWritable(directory)) return `a directory that this process may write to: SQLite keeps files beside ${file}`;
  return "a file that this process may read and write";
}
