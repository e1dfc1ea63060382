import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { Connection } from "./connection.js";
import type { Direction, ReadingLink } from "./link.js";
import { freePort, loopback } from "./port.js";

export interface Target {
  readonly port: number;
  readonly host: string;
  readonly terms?: Terms | undefined;
}

/** What a proxy does for clients that must not notice it. */
export interface Terms {
  /** How long, in ms, a server that refuses a connection is asked again: the client was accepted and cannot be refused any more. */
  readonly patience?: number;
  /** What a client says first, as the server is to hear it. */
  readonly greet?: (first: Buffer) => Buffer;
}

/** What is wrong with a link at the moment. */
export interface Weather {
  readonly frozen: Record<Direction, boolean>;
  readonly delay: Record<Direction, number>;
  dropping: boolean;
  touched: number;
  /** The request whose answer is to be cut. */
  doomed: { readonly to: RegExp; cut(): void } | undefined;
}

/** A TCP proxy on loopback. */
export class Proxy implements ReadingLink {
  readonly port: number;
  readonly #target: Target;
  readonly #connections = new Set<Connection>();
  readonly #weather: Weather = {
    frozen: { requests: false, replies: false },
    delay: { requests: 0, replies: 0 },
    dropping: false,
    touched: 0,
    doomed: undefined,
  };
  #server: Server | undefined;

  private constructor(port: number, target: Target) {
    this.port = port;
    this.#target = target;
  }

  static async start(port: number, host: string = loopback, terms?: Terms): Promise<Proxy> {
    const proxy = new Proxy(await freePort(), { port, host, terms });
    await new Promise<void>((resolve, reject) => proxy.#listen().once("listening", resolve).once("error", reject));
    return proxy;
  }

  get touched(): number {
    return this.#weather.touched;
  }

  freeze(direction?: Direction): void {
    for (const each of directions(direction)) this.#weather.frozen[each] = true;
    this.#tell();
  }

  cut(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#weather.touched += this.#connections.size;
    for (const connection of this.#connections) connection.break();
  }

  delay(ms: number, direction?: Direction): void {
    for (const each of directions(direction)) this.#weather.delay[each] = ms;
  }

  dropReplies(): void {
    this.#weather.dropping = true;
  }

  truncate(): void {
    for (const connection of this.#connections) connection.truncate();
  }

  cutAnswer(to: RegExp): Promise<void> {
    return new Promise((cut) => (this.#weather.doomed = { to, cut }));
  }

  heal(): void {
    for (const each of directions()) {
      this.#weather.frozen[each] = false;
      this.#weather.delay[each] = 0;
    }
    this.#weather.dropping = false;
    for (const connection of this.#connections) if (connection.torn) connection.break();
    this.#tell();
    if (!this.#server) this.#listen();
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#connections.size;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.cut();
    if (server?.listening) await new Promise((resolve) => server.once("close", resolve));
  }

  #listen(): Server {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) =>
      this.#accept(client),
    );
    // A link is no reason for a process to live.
    return this.#server.listen(this.port, loopback).unref();
  }

  #accept(client: Socket): void {
    const connection = new Connection(client, this.#target, this.#weather);
    this.#connections.add(connection);
    void connection.gone.then(() => this.#connections.delete(connection));
  }

  #tell(): void {
    for (const connection of this.#connections) connection.notice();
  }
}

function directions(only?: Direction): readonly Direction[] {
  return only ? [only] : ["requests", "replies"];
}
