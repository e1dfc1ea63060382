import type { Moment } from "@dlock/core";
import type { ZooKeeperError } from "./zookeeper-error.js";

export interface Server {
  /** IPv6 with or without brackets. */
  readonly host: string;
  readonly port: number;
}

/** As for `addauth` of ZooKeeper's shell: `digest` and `user:password`. */
export interface Credentials {
  readonly scheme: string;
  readonly auth: string;
}

export interface Terms {
  readonly servers: readonly Server[];
  /** ms asked for; the server grants another one where that is beyond its limits. */
  readonly timeout: number;
  readonly auth: readonly Credentials[];
}

/** Is told what becomes of a connection. Must not throw. */
export interface ConnectionListener {
  /** Also authenticated. `asked`: before the session was asked for. */
  connected(asked: Moment): void;
  disconnected(): void;
  /** The server has seen what was asked then. */
  answered(asked: Moment): void;
  /** Every server was tried, none had a session to give. */
  refused(trouble: Error | undefined): void;
  /** The watches on the path fired. */
  noticed(path: string): void;
  pulse(): void;
  /** For good; may be told twice. */
  ended(reason: ZooKeeperError): void;
}

export interface Answer<Payload> {
  readonly payload: Payload;
  readonly zxid: bigint;
  readonly asked: Moment;
}
