import { LockConfigError, queryOf } from "@dlock/core";
import { isRefused } from "./node-name.js";
import type { Credentials, Server } from "./session.js";

const accepted = "zookeeper://[user:password@]host[:port],…[/chroot]";
const defaultPort = 2_181;

/** Where a URL points to. */
export interface Address {
  readonly servers: readonly Server[];
  /** The path below which everything lies; `""` for the root. */
  readonly chroot: string;
  readonly auth: readonly Credentials[];
}

/** What a URL says, and what else its query says. `URL` refuses several hosts, so it is parsed here. */
export function parseUrl(url: unknown): { readonly address: Address; readonly query: Record<string, string> } {
  const [, rest] = (typeof url === "string" && /^(?:zookeeper|zk):\/\/(.*)$/is.exec(url)) || [];
  const [, authority = "", path = "", query = ""] = /^([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/s.exec(rest ?? "") ?? [];
  if (authority === "") return refuse(url, accepted);
  const at = authority.lastIndexOf("@");
  const servers = authority
    .slice(at + 1)
    .split(",")
    .map((server) => serverOf(url, server));
  const auth = at < 0 ? [] : [{ scheme: "digest", auth: credentialsOf(url, authority.slice(0, at)) }];
  return {
    address: { servers, chroot: chrootOf(url, path), auth },
    query: queryOf(query),
  };
}

function serverOf(url: unknown, server: string): Server {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(server) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return refuse(url, accepted);
  return { host, port };
}

/** ZooKeeper takes the name up to the first colon: one within it would make another user. */
function credentialsOf(url: unknown, userinfo: string): string {
  const [user = "", ...password] = userinfo.split(":");
  const name = decode(url, user);
  if (name === "" || name.includes(":") || password.length === 0) return refuse(url, "user:password before the @");
  return `${name}:${decode(url, password.join(":"))}`;
}

function chrootOf(url: unknown, path: string): string {
  const names = path
    .replace(/\/$/, "")
    .split("/")
    .slice(1)
    .map((name) => decode(url, name));
  const odd = names.some((name) => /^\.{0,2}$/.test(name) || Array.from(name).some(isRefused));
  if (odd || names[0] === "zookeeper") return refuse(url, "a path of ZooKeeper as its chroot, outside of /zookeeper");
  return names.map((name) => `/${name}`).join("");
}

function decode(url: unknown, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse(url, "a URL in which a % is written as %25");
  }
}

function refuse(url: unknown, wanted: string): never {
  throw new LockConfigError("url", url, wanted);
}
