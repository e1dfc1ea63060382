import ConnectionManager from "node-zookeeper-client/lib/ConnectionManager.js";
import { Frames } from "./frames.js";
import { measure } from "./measure.js";
import { measureAnswer } from "./operation.js";

export const states: typeof ConnectionManager.STATES = ConnectionManager.STATES;

/** Must not throw. */
export interface ClientListener {
  state(state: number): void;
  /** Another server is tried. */
  trying(): void;
  /** It is there, and about to be asked for the session. */
  reached(): void;
  /** Another one of the credentials was accepted. */
  admitted(): void;
  /** The watches on the path fired. */
  noticed(path: string): void;
  /** An answer of this code is about to be given to whom it is for. */
  answering(code: number): void;
  /** What was under way has no answer; another attempt follows. */
  broken(): void;
}

const xids = { notification: -1, auth: -4 };
/** In a frame: length, xid, zxid, error, body. */
const errorAt = 16;
const bodyAt = 20;
const systemError = -1;
const authFailed = -115;

/**
 * node-zookeeper-client, which alone believes every byte it reads, dies of an unknown code, takes the rest of one
 * connection for the beginning of the next, and counts requests up to where it throws.
 */
export class GuardedClient extends ConnectionManager {
  readonly #listener: ClientListener;
  #frames = new Frames();
  #stopped = false;
  #trouble: Error | undefined;
  // The parent's constructor writes to it, before there are private members.
  declare private count: number;

  constructor(timeout: number, listener: ClientListener) {
    const options = { sessionTimeout: timeout, spinDelay: Math.min(1_000, timeout / 20) };
    // It parses no IPv6 addresses: `servers` is set to what they are.
    super("none", options, (state) => listener.state(state));
    this.#listener = listener;
  }

  /** What went wrong last. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** Tries no other server any more. */
  stop(): void {
    this.#stopped = true;
    this.drop();
  }

  /** Leaves this server, for another attempt. */
  drop(): void {
    this.socket?.destroy();
  }

  override get xid(): number {
    return this.count;
  }

  override set xid(next: number) {
    this.count = next & 0x7fffffff;
  }

  override updateTimeout(timeout: number): void {
    super.updateTimeout(timeout);
    // Its pings wait for an idle socket, so that a session which is only told things would starve. 0 turns them off.
    this.pingTimeout = 0;
  }

  override findNextServer(use: Parameters<ConnectionManager["findNextServer"]>[0]): void {
    super.findNextServer((server) => {
      if (this.#stopped) return;
      this.#listener.trying();
      use(server);
    });
  }

  override onSocketConnected(): void {
    this.#listener.reached();
    super.onSocketConnected();
  }

  override onSocketData(chunk: Buffer): void {
    try {
      for (const frame of this.#frames.push(chunk)) {
        if (this.socket?.destroyed !== false) return;
        if (this.#admit(frame)) super.onSocketData(frame);
      }
    } catch (error) {
      this.#trouble = error instanceof Error ? error : new Error(String(error));
      this.drop();
    }
  }

  /** Bounded elsewhere: this one may be shorter than a connect takes, and survives its attempt to end the next one. */
  override onSocketConnectTimeout(): void {}

  override onSocketError(error: Error): void {
    this.#trouble = error;
    super.onSocketError(error);
  }

  override onSocketClosed(hasError: boolean): void {
    // The client forgets it, and it would keep the process alive.
    clearTimeout(this.connectTimeoutHandler ?? undefined);
    // Credentials that were not sent any more would be sent twice on the next one.
    this.packetQueue.queue.length = 0;
    this.#frames = new Frames();
    this.#listener.broken();
    super.onSocketClosed(hasError);
  }

  /** Whether the client has to see the frame. Throws if it could not read it. */
  #admit(frame: Buffer): boolean {
    if (this.state === states.CONNECTING) {
      this.#admitGreeting(frame);
      return true;
    }
    measure("ReplyHeader", frame, 4);
    const [xid, code] = [frame.readInt32BE(4), frame.readInt32BE(errorAt)];
    if (xid === xids.notification) {
      measure("WatcherEvent", frame, bodyAt);
      const [pathAt, length] = [bodyAt + 12, frame.readInt32BE(bodyAt + 8)];
      this.#listener.noticed(frame.toString("utf8", pathAt, pathAt + Math.max(0, length)));
      return false;
    }
    if (xid === xids.auth) {
      if (code === 0) this.#listener.admitted();
      else frame.writeInt32BE(authFailed, errorAt);
      return code !== 0;
    }
    const [expected] = this.pendingQueue;
    if (expected === undefined) throw new RangeError("an answer that nobody waits for");
    this.#listener.answering(code);
    if (code === 0) measureAnswer(expected.request.header.type, frame, bodyAt);
    // It throws at a code that it does not know.
    else frame.writeInt32BE(systemError, errorAt);
    return true;
  }

  #admitGreeting(frame: Buffer): void {
    measure("ConnectResponse", frame, 4);
    const [timeout, id] = [frame.readInt32BE(8), frame.readBigInt64BE(12)];
    const own = this.sessionId.readBigInt64BE(0);
    // It would take any for its own.
    if (timeout > 0 && own !== 0n && id !== own) throw new RangeError("a greeting to another session");
  }
}
