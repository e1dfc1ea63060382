// What we use of node-zookeeper-client 1.1.3, most of it private there: the package is pinned to that version.

declare module "node-zookeeper-client/lib/ConnectionManager.js" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";
  import type { Header, ReplyHeader, Request } from "node-zookeeper-client/lib/jute/index.js";

  interface Reply {
    readonly header: ReplyHeader;
    readonly payload: unknown;
  }

  interface Address {
    readonly host: string;
    readonly port: number;
  }

  class ConnectionManager extends EventEmitter {
    static readonly STATES: {
      readonly CONNECTING: number;
      readonly CONNECTED: number;
      readonly DISCONNECTED: number;
      readonly SESSION_EXPIRED: number;
      readonly AUTHENTICATION_FAILED: number;
    };
    constructor(
      servers: string,
      options: { sessionTimeout: number; spinDelay: number },
      listener: (state: number) => void,
    );
    readonly state: number;
    readonly sessionId: Buffer;
    readonly packetQueue: { readonly queue: { readonly request: { readonly header: Header } }[] };
    readonly pendingQueue: readonly { readonly request: { readonly header: Header } }[];
    /** Undefined before the first attempt. */
    readonly socket: Socket | undefined;
    readonly connectTimeoutHandler: NodeJS.Timeout | null;
    servers: readonly Address[];
    serverAttempts: number;
    credentials: readonly { readonly scheme: string; readonly auth: Buffer }[];
    get xid(): number;
    set xid(next: number);
    sessionTimeout: number;
    pingTimeout: number;
    connect(): void;
    close(): void;
    queue(request: Request, callback: (error: Error | null, reply?: Reply) => void): void;
    updateTimeout(timeout: number): void;
    findNextServer(use: (server: Address) => void): void;
    onSocketConnected(): void;
    onSocketData(chunk: Buffer): void;
    onSocketConnectTimeout(): void;
    onSocketError(error: Error): void;
    onSocketClosed(hasError: boolean): void;
  }

  export default ConnectionManager;
}

declare module "node-zookeeper-client/lib/jute/index.js" {
  export interface Attribute {
    readonly name: string;
    readonly type: string;
  }
  export interface Record {
    readonly specification: readonly Attribute[];
    byteLength(): number;
  }
  export interface Header extends Record {
    type: number;
    readonly xid: number;
  }
  export interface ReplyHeader extends Record {
    readonly zxid: Buffer;
  }
  export interface Payload {
    byteLength(): number;
  }
  export class Request {
    constructor(header: Header, payload: Payload);
    readonly header: Header;
    readonly payload: Payload;
    toBuffer(): Buffer;
  }
  /** Integers are numbers, longs are buffers of eight bytes. */
  export interface Stat {
    readonly czxid: Buffer;
    readonly mzxid: Buffer;
    readonly ctime: Buffer;
    readonly mtime: Buffer;
    readonly version: number;
    readonly cversion: number;
    readonly ephemeralOwner: Buffer;
    readonly dataLength: number;
    readonly numChildren: number;
  }
  /** One step of a transaction. */
  export type Step =
    | { readonly type: number; readonly path: string; readonly version: number }
    | {
        readonly type: number;
        readonly path: string;
        readonly data: Buffer;
        readonly acls: readonly { toRecord(): Record }[];
        readonly mode: number;
      };
  export type Class = new (...values: readonly unknown[]) => Record;
  const jute: {
    readonly Request: typeof Request;
    readonly TransactionRequest: new (operations: readonly Step[]) => Payload;
    readonly protocol: {
      readonly RequestHeader: new (xid: number, type: number) => Header;
      readonly [name: string]: Class;
    };
    readonly data: { readonly ACL: Class; readonly Id: Class; readonly [name: string]: Class };
  };
  export default jute;
}
