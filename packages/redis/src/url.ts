import { LockConfigError, queryOf } from "@dlock/core";
import type { RedisOptions as DriverOptions } from "ioredis";
import { clusterSource, serverSource, type Source } from "./client.js";
import type { RedisServer } from "./options.js";

const accepted =
  "redis://[user:password@]host[:port][/db], rediss://…, redis+sentinel://host[:port],…/master[/db], redis+cluster://host[:port],… or redis+quorum://host[:port],…[/db]";
const quorumScheme = "redis+quorum";
const defaultPort = 6_379;
const sentinelPort = 26_379;

interface Parts {
  readonly scheme: string;
  readonly login: Pick<DriverOptions, "username" | "password">;
  readonly hosts: string;
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

/** The deployment that a URL names, and what else its query says. `URL` refuses several hosts, so it is parsed here. */
export function parseUrl({ url, tls, ...beside }: RedisServer): { readonly source: Source; readonly query: object } {
  const { scheme, login, hosts, path, query } = split(url);
  const { tls: wantsTls, ...options } = query;
  const secure = isSecure(url, wantsTls, scheme === "rediss" || tls !== undefined);
  const common: DriverOptions = { ...login, ...(secure ? { tls: tls ?? {} } : {}) };
  return { source: sourceOf(), query: options };

  function sourceOf(): Source {
    switch (scheme) {
      case "redis":
      case "rediss": {
        const [server, ...others] = addresses(url, hosts, defaultPort);
        if (others.length > 0) refuse(url, "one host; redis+sentinel:, redis+cluster: and redis+quorum: take several");
        return serverSource({ ...common, ...server, db: database(url, path) });
      }
      case "redis+sentinel": {
        const [name, ...rest] = path;
        if (name === undefined)
          return refuse(url, "the name of the primary after the sentinels: redis+sentinel://host/name");
        const sentinels = addresses(url, hosts, sentinelPort);
        const sentinel = {
          sentinels,
          name,
          ...beside,
          ...(secure ? { sentinelTLS: tls ?? {}, enableTLSForSentinelMode: true } : {}),
        };
        return serverSource({ ...common, ...(sentinel as DriverOptions), db: database(url, rest) });
      }
      case "redis+cluster":
        if (path.length > 0) refuse(url, "no path: a cluster has one database");
        return clusterSource(addresses(url, hosts, defaultPort), common);
      case quorumScheme:
        return refuse(url, "one deployment; several servers of one rank are redisQuorum's");
      default:
        return refuse(url, accepted);
    }
  }
}

export interface NamedSource {
  /** Host and port. */
  readonly name: string;
  readonly source: Source;
}

/** The servers that a `redis+quorum:` URL names, each on its own. */
export function parseQuorumUrl({ url, tls }: RedisServer): {
  readonly servers: readonly NamedSource[];
  readonly query: object;
} {
  const { scheme, login, hosts, path, query } = split(url);
  if (scheme !== quorumScheme) refuse(url, accepted);
  const { tls: wantsTls, ...options } = query;
  const secure = isSecure(url, wantsTls, tls !== undefined);
  const common: DriverOptions = { ...login, ...(secure ? { tls: tls ?? {} } : {}), db: database(url, path) };
  const servers = new Map(
    addresses(url, hosts, defaultPort).map((server) => {
      const host = server.host.includes(":") ? `[${server.host}]` : server.host;
      return [`${host}:${server.port}`, serverSource({ ...common, ...server })] as const;
    }),
  );
  // Of an even number one may fail as little as of one less.
  if (servers.size < 3) refuse(url, "three different servers or more, five for best");
  return { servers: [...servers].map(([name, source]) => ({ name, source })), query: options };
}

/** `already`: by the scheme, or because there are options for it. */
function isSecure(url: unknown, wantsTls: string | undefined, already: boolean): boolean {
  if (wantsTls === "false" && already) return refuse(url, "no tls=false beside rediss: or options for TLS");
  if (wantsTls !== undefined && wantsTls !== "true" && wantsTls !== "false")
    return refuse(url, "tls=true or tls=false in its query");
  return already || wantsTls === "true";
}

export function isQuorumUrl(url: unknown): boolean {
  return typeof url === "string" && url.toLowerCase().startsWith(`${quorumScheme}:`);
}

function split(url: unknown): Parts {
  const [, scheme, rest] = (typeof url === "string" && /^([a-z][a-z\d+.-]*):\/\/(.*)$/is.exec(url)) || [];
  if (scheme === undefined || rest === undefined) return refuse(url, accepted);
  const [, authority = "", path = "", query = ""] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ?? [];
  const at = authority.lastIndexOf("@");
  const [, user = "", password] = /^([^:]*)(?::(.*))?$/s.exec(authority.slice(0, Math.max(at, 0))) ?? [];
  const login = {
    ...(user === "" ? {} : { username: decode(url, user) }),
    ...(password === undefined ? {} : { password: decode(url, password) }),
  };
  const segments = path === "" ? [] : path.split("/").map((segment) => decode(url, segment));
  return {
    scheme: scheme.toLowerCase(),
    login,
    hosts: authority.slice(at + 1),
    path: segments,
    query: queryOf(query),
  };
}

function addresses(url: unknown, hosts: string, otherwise: number): { host: string; port: number }[] {
  return hosts.split(",").map((address) => {
    const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(address) ?? [];
    const host = bracketed ?? plain;
    const port = digits === undefined ? otherwise : Number(digits);
    if (host === undefined || port < 1 || port > 65_535) return refuse(url, accepted);
    return { host, port };
  });
}

function database(url: unknown, path: readonly string[]): number {
  const [db = "0", ...rest] = path;
  if (rest.length > 0 || !/^\d{1,5}$/.test(db)) refuse(url, "the number of a database at its end, or nothing");
  return Number(db);
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
