import type { ReadingLink } from "./link.js";
import { loopback } from "./port.js";
import { Proxy } from "./proxy.js";
import type { Server } from "./server.js";

export type Row = Readonly<Record<string, unknown>>;
export type UrlLink = ReadingLink & { readonly url: string; close(): Promise<void> };

/** One client's connection, as the server sees it. */
export interface Session {
  readonly id: number;
  /** The name it gave itself, else the program's or the user's. */
  readonly application: string;
  readonly state: string;
  /** What it runs, or ran last. */
  readonly statement: string;
  /** It stands behind a lock that another one has. */
  readonly waits: boolean;
}

/** A look from the side: a connection of the testbed's own, which goes through no link and is made anew when it broke. */
export interface Side {
  query(sql: string, params?: readonly unknown[]): Promise<readonly Row[]>;
  sessions(): Promise<readonly Session[]>;
  terminate(id: number): Promise<void>;
  close(): Promise<void>;
}

export type StartedDatabase = Database & { readonly server: Server };

/** An SQL server to test on. */
export class Database {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** What can happen to the server; absent when it is lent, for what was not started here is not killed either. */
  readonly server: Server | undefined;
  readonly #side: Side;
  readonly #links: Proxy[] = [];

  constructor(url: string, side: Side, server?: Server) {
    const { hostname, port, protocol } = new URL(url);
    this.url = url;
    this.host = hostname;
    this.port = Number(port || (protocol.startsWith("postgres") ? 5432 : 3306));
    this.server = server;
    this.#side = side;
  }

  /** A proxy in front of the server, and all that can happen to a network. */
  async link(): Promise<UrlLink> {
    const proxy = await Proxy.start(this.port, this.host);
    this.#links.push(proxy);
    return Object.assign(proxy, { url: through(this.url, proxy.port) });
  }

  /** Runs a statement on a connection of the testbed's own. */
  query(sql: string, params?: readonly unknown[]): Promise<readonly Row[]> {
    return this.#side.query(sql, params);
  }

  /** The connections of all clients but this one. */
  sessions(): Promise<readonly Session[]> {
    return this.#side.sessions();
  }

  /** Ends a session from outside, as an administrator would. */
  terminate(id: number): Promise<void> {
    return this.#side.terminate(id);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
    await this.server?.stop();
    // After the server, which may stand still or be gone: whether this goes well is of no interest.
    await this.#side.close().catch(() => {});
  }
}

/** The same URL, by way of a port of this machine. */
export function through(url: string, port: number): string {
  const changed = new URL(url);
  [changed.hostname, changed.port] = [loopback, String(port)];
  return changed.href;
}
