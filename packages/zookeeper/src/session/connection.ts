import { Moment, monotonicNow } from "@dlock/core";
import { GuardedClient, states } from "./guarded-client.js";
import { type Operation, toRequest } from "./operation.js";
import type { Answer, ConnectionListener, Terms } from "./terms.js";
import { refusal, ZooKeeperError } from "./zookeeper-error.js";

interface Call {
  readonly asked: Moment;
  readonly reject: (error: ZooKeeperError) => void;
}

/** Bytes: the servers hang up at a request of 1 MiB. */
const longest = 1_000_000;
/** ms within which a server has to be found ready. */
const patience = 3_000;
/** Pulses in one session timeout. */
const rate = 12;

/**
 * The connection of one session, remade whenever it breaks. A call is sent at once or never, and ends with the connection
 * that it was sent on; a server that is silent, or owes an answer, is left.
 */
export class Connection {
  readonly #client: GuardedClient;
  readonly #listener: ConnectionListener;
  readonly #servers: number;
  readonly #calls = new Set<Call>();
  #pulse: ReturnType<typeof setTimeout> | undefined;
  #end: ZooKeeperError | undefined;
  #closing: ZooKeeperError | undefined;
  #timeout: number;
  #established = false;
  #attempts = 0;
  #admitted = 0;
  #triedAt = 0;
  #asked = new Moment();
  #upSince: number | undefined;
  #goneSince = 0;
  /** Monotonic ms of the last answer. */
  #heardAt = Number.NEGATIVE_INFINITY;
  #suspected = false;
  #code = 0;

  constructor({ servers, timeout, auth }: Terms, listener: ConnectionListener) {
    this.#listener = listener;
    this.#timeout = timeout;
    this.#servers = servers.length;
    this.#client = new GuardedClient(timeout, {
      state: (state) => this.#changed(state),
      trying: () => this.#try(),
      reached: () => (this.#asked = new Moment()),
      admitted: () => this.#admit(),
      noticed: (path) => listener.noticed(path),
      answering: (code) => (this.#code = code),
      broken: () => this.#broken(),
    });
    const addresses = servers.map(({ host, port }) => ({ host: host.replace(/^\[(.*)\]$/, "$1"), port }));
    this.#client.servers = shuffled(addresses);
    this.#client.credentials = auth.map(({ scheme, auth: secret }) => ({ scheme, auth: Buffer.from(secret) }));
  }

  open(): void {
    this.#client.connect();
    this.#arm();
  }

  /** false is doubt, not loss. */
  get connected(): boolean {
    return this.#upSince !== undefined && this.#end === undefined;
  }

  /** A call would be sent. A connection that has broken is there for a moment longer. */
  get ready(): boolean {
    return this.connected && this.#client.socket?.writable === true;
  }

  /** Why there will be no other connection. */
  get end(): ZooKeeperError | undefined {
    return this.#end ?? this.#closing;
  }

  /** ms, as granted. */
  get timeout(): number {
    return this.#timeout;
  }

  get sessionId(): bigint {
    return this.#client.sessionId.readBigInt64BE(0);
  }

  /** No call waits for another one: they are answered in order. `read` runs before anything that the server sent later is looked at. */
  call<Payload, Result>(operation: Operation, read: (answer: Answer<Payload>) => Result): Promise<Result> {
    const { name, payload } = operation;
    const { socket } = this.#client;
    if (this.end) return Promise.reject(this.end);
    if (!this.ready || socket === undefined) {
      return Promise.reject(new ZooKeeperError("CONNECTION_LOSS", `${name} was not sent`, { noEffect: true }));
    }
    if (payload.byteLength() > longest) {
      return Promise.reject(new ZooKeeperError("BAD_ARGUMENTS", `${name} is too long`, { noEffect: true }));
    }
    return new Promise((resolve, reject) => {
      const call: Call = { asked: new Moment(), reject };
      this.#calls.add(call);
      this.#client.queue(toRequest(operation), (_error, reply) => {
        // Without one the connection broke, and `#fail` has seen to it.
        if (reply === undefined) return;
        this.#heardAt = monotonicNow();
        this.#listener.answered(call.asked);
        const zxid = reply.header.zxid.readBigInt64BE(0);
        if (this.#code !== 0) reject(refusal(this.#code, name));
        else resolve(read({ payload: reply.payload as Payload, zxid, asked: call.asked }));
        this.#calls.delete(call);
      });
    });
  }

  /** Ends the session at the server if it is connected, and the connection by `until` in any case. Never rejects. */
  async close(until: number): Promise<void> {
    const reason = (this.#closing ??= new ZooKeeperError("CLOSED", "the session was closed", { noEffect: true }));
    // Before the servers hear of it: they let others in at once.
    this.#listener.ended(reason);
    const { socket } = this.#client;
    if (this.connected && socket !== undefined) {
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, Math.max(0, until - monotonicNow()));
        socket.once("close", () => {
          clearTimeout(late);
          resolve();
        });
        // In any other state it would take the answer to its greeting for one to this.
        this.#client.close();
      });
    }
    this.stop(reason);
  }

  /** Ends the connection here and now; the session lives on at the server until its timeout. */
  stop(reason: ZooKeeperError): void {
    if (this.#end) return;
    this.#end = reason;
    clearTimeout(this.#pulse);
    // Here too.
    this.#fail(new ZooKeeperError(reason.reason, "the session ended before the answer", { cause: reason }));
    this.#client.stop();
    this.#listener.ended(reason);
  }

  #try(): void {
    this.#attempts += 1;
    this.#admitted = 0;
    this.#triedAt = monotonicNow();
  }

  #changed(state: number): void {
    if (state === states.CONNECTED) {
      const { sessionTimeout, credentials } = this.#client;
      this.#timeout = this.#established ? Math.min(this.#timeout, sessionTimeout) : sessionTimeout;
      if (credentials.length === 0) this.#up();
    } else if (state === states.DISCONNECTED) this.#down();
    else if (state === states.SESSION_EXPIRED) this.#lose("SESSION_LOST", "the session expired");
    else if (state === states.AUTHENTICATION_FAILED) this.#lose("AUTH_FAILED", "the server refused the credentials");
  }

  /** They are the first that is sent, so that nothing can be answered without them. */
  #admit(): void {
    this.#admitted += 1;
    if (this.#admitted === this.#client.credentials.length) this.#up();
  }

  #up(): void {
    if (this.#end) return;
    this.#established = true;
    this.#attempts = 0;
    this.#upSince = monotonicNow();
    this.#arm();
    this.#listener.connected(this.#asked);
  }

  #down(): void {
    if (this.#upSince === undefined) return;
    this.#goneSince = monotonicNow();
    this.#upSince = undefined;
    this.#arm();
    this.#listener.disconnected();
  }

  #broken(): void {
    const { trouble: cause } = this.#client;
    // A server that greets and hangs up is not asked again at once.
    const brief = this.#upSince !== undefined && monotonicNow() - this.#upSince < this.#timeout / rate;
    if (brief) this.#client.serverAttempts = this.#servers;
    // Whether they arrived nobody knows.
    this.#fail(new ZooKeeperError("CONNECTION_LOSS", "the connection broke before the answer", { cause }));
    if (!this.#established && this.#attempts >= this.#servers) this.#listener.refused(cause);
  }

  #fail(error: ZooKeeperError): void {
    const calls = [...this.#calls];
    this.#calls.clear();
    for (const { reject } of calls) reject(error);
  }

  #lose(reason: "SESSION_LOST" | "AUTH_FAILED", message: string): void {
    this.stop(new ZooKeeperError(reason, message, { noEffect: true, cause: this.#client.trouble }));
  }

  #arm(): void {
    clearTimeout(this.#pulse);
    if (this.#end) return;
    // However long the session lasts, a server that does not greet costs no more than its patience.
    const pace = Math.min(this.#timeout, this.connected ? Number.POSITIVE_INFINITY : patience) / rate;
    this.#pulse = setTimeout(() => this.#beat(), Math.max(5, pace));
    this.#pulse.unref();
  }

  #beat(): void {
    this.#arm();
    const gone = this.#established && !this.connected && monotonicNow() - this.#goneSince > 2 * this.#timeout;
    if (gone) this.#lose("SESSION_LOST", "no server could be reached");
    else if (this.connected) this.#listener.pulse();
    // A process that stood still looks at its clock before it looks at what arrived meanwhile: not silent at one beat only.
    const silent = this.#silent();
    if (silent && this.#suspected) this.#client.drop();
    this.#suspected = silent;
  }

  /** An answer, or a greeting, is due, and for too long there was none. On a slow link every answer is due for long, but they come. */
  #silent(): boolean {
    const [oldest] = this.#calls;
    const since = this.connected ? Math.max(oldest?.asked.at ?? monotonicNow(), this.#heardAt) : this.#triedAt;
    return monotonicNow() - since > this.#patience;
  }

  get #patience(): number {
    // Where others could still know the session there is no time to lose.
    const silence = this.#timeout * (this.#servers > 1 ? 1 / 4 : 2 / 3);
    // Before the first greeting nobody knows the timeout.
    if (!this.#established) return patience;
    return this.connected ? silence : Math.min(silence, patience);
  }
}

function shuffled<Value>(values: readonly Value[]): Value[] {
  return values
    .map((value) => ({ value, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ value }) => value);
}
