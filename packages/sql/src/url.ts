import { checkFields, LockConfigError, queryOf } from "@dlock/core";
import { optionFields } from "./options.js";

/** What a URL says: a file, or a server, and options. */
export type Named = { readonly query: Readonly<Record<string, unknown>> } & (
  | { readonly filename: string }
  | { readonly url: string }
);

const accepted =
  "sqlite:./locks.db, sqlite:///path/to/locks.db, postgres://[user:password@]host[:port]/database, mysql://… or mariadb://…";
/** What drivers read in a URL. The rest is misspelt, or for a knex of one's own. */
const forDriver: Readonly<Record<string, readonly string[]>> = {
  postgres: ["sslmode", "sslcert", "sslkey", "sslrootcert", "sslnegotiation", "application_name", "host"],
  mysql: ["ssl", "socketPath"],
};
const families: Readonly<Record<string, string>> = {
  postgres: "postgres",
  postgresql: "postgres",
  mysql: "mysql",
  mariadb: "mysql",
};

export function parseUrl(url: string): Named {
  const [, scheme, rest = ""] = /^([a-z][a-z\d+.-]*):(.*)$/is.exec(url) ?? [];
  if (scheme?.toLowerCase() === "sqlite") return sqliteFile(url, rest);
  const family = families[scheme?.toLowerCase() ?? ""];
  if (family === undefined) return refuse(url, accepted);
  return server(url, family);
}

function server(url: string, family: string): Named {
  const [address = "", text = ""] = split(url, "?");
  if (!URL.canParse(address) || !address.includes("://")) return refuse(url, accepted);
  if (/%(?![\da-f]{2})/i.test(address)) return refuse(url, "a % written as %25");
  const { pathname } = new URL(address);
  if (!/^\/[^/]+$/.test(pathname)) return refuse(url, "the name of a database at its end: …//host/database");
  const known = forDriver[family] ?? [];
  const [query, drivers] = [new URLSearchParams(), new URLSearchParams()];
  for (const [name, value] of new URLSearchParams(text)) {
    if (name === "ssl" && known.includes(name)) checkSsl(value);
    if (known.includes(name)) drivers.append(name, value);
    else if (optionFields.includes(name)) query.append(name, value);
    else checkFields("url", { [name]: value }, [...optionFields, ...known]);
  }
  const options = Object.fromEntries(
    Object.entries(queryOf(query.toString())).map(([name, value]) => [name, optionOf(name, value)]),
  );
  return { url: drivers.size > 0 ? `${address}?${drivers.toString()}` : address, query: options };
}

/** The driver would take what is no JSON for the name of a profile, and quote it, with the key in it. */
function checkSsl(text: string): void {
  if (!/^\s*[[{]/.test(text)) return;
  try {
    JSON.parse(text);
  } catch {
    throw new LockConfigError(
      "ssl",
      text,
      "an object in JSON without mistakes, percent-encoded, or a profile of mysql2",
    );
  }
}

/** A query is text. What makes no sense stays as it is, to be refused by its name. */
function optionOf(name: string, value: string): unknown {
  if (name === "connections" && /^\d+$/.test(value)) return Number(value);
  if (name === "notify" && (value === "true" || value === "false")) return value === "true";
  return value;
}

function sqliteFile(url: string, rest: string): Named {
  const [path = "", query = ""] = split(rest, "?");
  const filename = decode(path.startsWith("///") ? path.slice(2) : path, url);
  if (filename === "" || filename === ":memory:") {
    return refuse(url, `${accepted}: nobody else would see locks in memory (memory: is for that)`);
  }
  if (filename.startsWith("//")) return refuse(url, `${accepted}: a file has no host`);
  return { filename, query: queryOf(query) };
}

function split(text: string, at: string): readonly string[] {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

function decode(path: string, url: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    // The error quotes nothing, and says no more.
    throw new LockConfigError("url", url, "a path in which a % is written as %25", undefined, error);
  }
}

function refuse(url: string, wanted: string): never {
  throw new LockConfigError("url", url, wanted);
}
