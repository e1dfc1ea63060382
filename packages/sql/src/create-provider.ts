import { checkFields, LockConfigError, type ProviderContext, type ProviderEntry } from "@dlock/core";
import type { SqlProvider } from "./lease-provider.js";
import { checkStrategy, type SqliteFile, type SqlOptions, sqliteProvider } from "./sql-provider.js";

const accepted = "sqlite:./locks.db or sqlite:///path/to/locks.db, the only databases of this version of @dlock/sql";
const fields = ["strategy", "table", "driver"];

/** The locks of a `sqlite:` URL. Options may be in its query or beside it in the entry, which wins. */
export function createProvider(entry: ProviderEntry, context: ProviderContext): SqlProvider {
  const { url, ...beside } = entry;
  const { filename, query } = parse(url);
  checkFields("url", query, fields);
  checkFields("entry", beside, fields);
  const options: Record<string, unknown> = { ...query, ...beside };
  checkStrategy(options["strategy"] ?? "version");
  // Checked for what they are where they are used.
  const file = { filename, driver: options["driver"] } as SqliteFile;
  const table = options["table"] as SqlOptions["table"];
  return sqliteProvider("url", file, { strategy: "version", table, emit: (notice) => context.emit(notice) });
}

function parse(url: string): { readonly filename: string; readonly query: object } {
  const [, scheme, rest = ""] = /^([a-z][a-z\d+.-]*):(.*)$/is.exec(url) ?? [];
  if (scheme?.toLowerCase() !== "sqlite") throw new LockConfigError("url", url, accepted);
  const [path = "", query = ""] = split(rest, "?");
  const filename = decode(path.startsWith("///") ? path.slice(2) : path, url);
  if (filename === "" || filename === ":memory:") {
    throw new LockConfigError("url", url, `${accepted}: nobody else would see locks in memory (memory: is for that)`);
  }
  if (filename.startsWith("//")) throw new LockConfigError("url", url, `${accepted}: a file has no host`);
  return { filename, query: Object.fromEntries(new URLSearchParams(query)) };
}

function split(text: string, at: string): readonly string[] {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

function decode(path: string, url: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    throw new LockConfigError("url", url, "a path in which a % is written as %25", undefined, error);
  }
}
