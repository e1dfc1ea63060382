import type { Direction, Link } from "./link.js";
import type { Redis, RedisLink } from "./redis.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Links to several servers, disturbed together. */
export class Links implements Omit<Link, "port"> {
  /** Where clients connect, in the order of the servers. */
  readonly addresses: readonly Address[];
  /** For ioredis: what servers call each other, and where to go instead. */
  readonly natMap: Readonly<Record<string, Address>>;
  readonly #links: readonly RedisLink[];

  private constructor(servers: readonly Redis[], links: readonly RedisLink[]) {
    this.#links = links;
    this.addresses = links.map((link, n) => ({ host: servers[n]?.host ?? "", port: link.port }));
    this.natMap = Object.fromEntries(
      this.addresses.map((address, n) => [`${servers[n]?.host}:${servers[n]?.port}`, address]),
    );
  }

  static async to(servers: readonly Redis[]): Promise<Links> {
    return new Links(servers, await Promise.all(servers.map((server) => server.link())));
  }

  freeze(direction?: Direction): void {
    for (const link of this.#links) link.freeze(direction);
  }

  cut(): void {
    for (const link of this.#links) link.cut();
  }

  delay(ms: number, direction?: Direction): void {
    for (const link of this.#links) link.delay(ms, direction);
  }

  dropReplies(): void {
    for (const link of this.#links) link.dropReplies();
  }

  truncate(): void {
    for (const link of this.#links) link.truncate();
  }

  heal(): void {
    for (const link of this.#links) link.heal();
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
  }
}
