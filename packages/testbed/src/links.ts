import { Bundle } from "./bundle.js";
import type { Link } from "./link.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Reachable extends Address {
  link(): Promise<Link & { close(): Promise<void> }>;
}

/** Links to several servers, disturbed together. */
export class Links extends Bundle {
  /** Where clients connect, in the order of the servers. */
  readonly addresses: readonly Address[];
  /** For ioredis: what servers call each other, and where to go instead. */
  readonly natMap: Readonly<Record<string, Address>>;
  readonly #close: () => Promise<unknown>;

  private constructor(servers: readonly Address[], links: readonly Awaited<ReturnType<Reachable["link"]>>[]) {
    super(links);
    this.#close = () => Promise.all(links.map((link) => link.close()));
    this.addresses = links.map((link, n) => ({ host: servers[n]?.host ?? "", port: link.port }));
    this.natMap = Object.fromEntries(
      this.addresses.map((address, n) => [`${servers[n]?.host}:${servers[n]?.port}`, address]),
    );
  }

  static async to(servers: readonly Reachable[]): Promise<Links> {
    return new Links(servers, await Promise.all(servers.map((server) => server.link())));
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
