import { refuseLocksOptions } from "../misplaced-option.js";
import { checkFields, checkText } from "../check.js";
import { LockConfigError } from "../errors.js";
import type { Config, Entry, Member } from "./config.js";
import { child } from "./path.js";

export const scheme: RegExp = /^([a-z][a-z\d+.-]+):/i;
const nameOfBackend = /^[\w-]+$/;
export const kinds = ["url", "quorum", "migrate"] as const;

/** Checks everything but what only adapters know. Throws `LockConfigError` that names the path. */
export function checkConfig(config: unknown): Config {
  if (!isObject(config)) throw new LockConfigError("configuration", config, "an object with backends");
  checkFields("configuration", config, ["$schema", "backends", "default", "routes"]);
  const { backends, routes = {} } = config;
  if (!isObject(backends) || Object.keys(backends).length === 0) {
    throw new LockConfigError("backends", backends, 'backends by name, such as { "main": "redis://localhost" }');
  }
  const names = Object.keys(backends);
  for (const [name, member] of Object.entries(backends)) checkBackend(name, member, names);
  for (const name of names) checkCircle(name, backends as Config["backends"], [name]);
  checkDefault(config["default"], names);
  if (!isObject(routes)) throw new LockConfigError("routes", routes, "names of backends by key pattern");
  for (const [pattern, name] of Object.entries(routes)) checkName(child("routes", pattern), name, names);
  return config as unknown as Config; // checked above, field by field
}

function checkBackend(name: string, member: unknown, names: readonly string[]): void {
  if (!nameOfBackend.test(name)) {
    throw new LockConfigError("backends", name, "names of letters, digits, _ and -");
  }
  const path = child("backends", name);
  if (typeof member === "string") checkUrl(path, member);
  else checkEntry(path, member, names);
}

function checkMember(path: string, member: unknown, names: readonly string[]): void {
  if (typeof member !== "string") checkEntry(path, member, names);
  else if (scheme.test(member)) checkUrl(path, member);
  else checkName(path, member, names);
}

export function checkEntry(path: string, entry: unknown, names: readonly string[]): Entry {
  const kind = isObject(entry) ? kinds.filter((each) => each in entry) : [];
  if (!isObject(entry) || kind.length !== 1) {
    throw new LockConfigError(path || "entry", entry, "a URL, or an object with one of url, quorum and migrate");
  }
  const { url, quorum, migrate, adapter, require: _, ...options } = entry;
  refuseLocksOptions((field) => child(path, field), Object.keys(options));
  if (adapter !== undefined) checkText(child(path, "adapter"), adapter);
  if (kind[0] === "url") checkUrl(child(path, "url"), url);
  if (kind[0] === "quorum") {
    const at = child(path, "quorum");
    if (!Array.isArray(quorum) || quorum.length < 3) throw new LockConfigError(at, quorum, "three backends or more");
    quorum.forEach((member, index) => checkMember(child(at, index), member, names));
  }
  if (kind[0] === "migrate") {
    const at = child(path, "migrate");
    if (!isObject(migrate)) throw new LockConfigError(at, migrate, "{ from, to }, two backends");
    checkFields(at, migrate, ["from", "to"]);
    for (const side of ["from", "to"]) checkMember(child(at, side), migrate[side], names);
  }
  return entry as unknown as Entry; // checked above
}

function checkUrl(path: string, url: unknown): void {
  if (typeof url !== "string" || !scheme.test(url)) {
    throw new LockConfigError(path, url, "a URL with a scheme, such as redis://localhost:6379 or sqlite:./locks.db");
  }
  const [, query] = /\?([^#]*)/.exec(url) ?? [];
  refuseLocksOptions(() => path, new URLSearchParams(query).keys());
}

function checkName(path: string, name: unknown, names: readonly string[]): void {
  if (typeof name === "string" && names.includes(name)) return;
  throw new LockConfigError(path, name, `the name of a backend: ${names.join(", ")}`);
}

function checkDefault(name: unknown, names: readonly string[]): void {
  if (name !== undefined || names.length > 1) checkName("default", name, names);
}

function checkCircle(name: string, backends: Config["backends"], seen: readonly string[]): void {
  for (const next of membersOf(backends[name])) {
    if (typeof next !== "string" || scheme.test(next)) continue;
    if (seen.includes(next)) {
      throw new LockConfigError(child("backends", seen[0] as string), [...seen, next].join(" → "), "no circle");
    }
    checkCircle(next, backends, [...seen, next]);
  }
}

/** The names and URLs an entry is made of, at any depth. */
function membersOf(member: Member | undefined): readonly Member[] {
  if (typeof member !== "object") return member === undefined ? [] : [member];
  return partsOf(member).flatMap((part) => membersOf(part));
}

/** What a combination is made of. */
export function partsOf(entry: Entry): readonly Member[] {
  if ("quorum" in entry) return entry.quorum as readonly Member[];
  if ("migrate" in entry) {
    const { from, to } = entry.migrate as { readonly from: Member; readonly to: Member };
    return [from, to];
  }
  return [];
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
