import { LockBackendError, LockClosedError, LockConfigError, monotonicNow, pause, type Signal } from "@dlock/core";
import type { Connector, Opened } from "./connector.js";
import { LockSession, waitSlice } from "./lock-session.js";

/** With fewer means a server could not end a session that stands still. */
const oldest = {
  postgres: { version: 140_000, name: "PostgreSQL 14" },
  mysql: { version: 80_001, name: "MySQL 8.0.1" },
  mariadb: { version: 100_600, name: "MariaDB 10.6" },
} as const;
/** ms for opening a connection: several claims may be waiting for it, each as long as it likes. */
const opening = 10_000;

/** The connections that locks live by, `size` at most. Whoever finds none free waits in line. */
export class SessionPool {
  readonly #connector: Connector;
  readonly #size: number;
  readonly #strategy: string;
  readonly #sessions = new Set<LockSession>();
  readonly #line = new Set<AbortController>();
  #closed = false;

  /** `strategy` is what a server is refused for that does not offer what it takes. */
  constructor(connector: Connector, size: number, strategy: string) {
    this.#connector = connector;
    this.#size = size;
    this.#strategy = strategy;
  }

  /** Opens a connection to see whether the server can be used. */
  async check(deadline: number): Promise<void> {
    await (await this.#open(1_000, deadline)).connection.close();
  }

  /** One that other locks may live by too, with a place for this one: never two claims of one lock, which would both get it. */
  share(id: string, idle: number): LockSession | undefined {
    this.#assertOpen();
    for (const session of this.#sessions) {
      if (session.exclusive || session.idle !== idle || session.carries(id) || session.stale) continue;
      session.enter(id);
      return session;
    }
    const session = this.#own(idle);
    if (session === undefined) return undefined;
    session.exclusive = false;
    session.enter(id);
    return session;
  }

  /** One for the caller alone; `undefined`: none is free. */
  own(idle: number): LockSession | undefined {
    this.#assertOpen();
    return this.#own(idle);
  }

  /** The same, as soon as there is one; rejects when the signal aborts or the deadline comes. */
  async wait<Session>(find: () => Session | undefined, deadline: number, signal: Signal): Promise<Session> {
    for (;;) {
      if (signal.aborted) throw unserved("the call was given up");
      const found = find();
      if (found !== undefined) return found;
      if (monotonicNow() >= deadline) throw unserved(`all ${this.#size} connections are taken`);
      await this.#turn(deadline, signal);
    }
  }

  /** For whoever needs one next. */
  give(session: LockSession): void {
    if (session.empty) session.rest();
    this.#next();
  }

  /** The connector closes what is open. */
  close(): void {
    this.#closed = true;
    for (const turn of this.#line) turn.abort();
  }

  #own(idle: number): LockSession | undefined {
    const idlers = [...this.#sessions].filter((session) => !session.exclusive && session.empty);
    const found = idlers.find((session) => session.idle === idle && !session.stale) ?? this.#another(idle);
    if (found === undefined) {
      // One that the server keeps for another time has to make room.
      for (const session of idlers) session.close();
      return undefined;
    }
    found.exclusive = true;
    return found;
  }

  #another(idle: number): LockSession | undefined {
    if (this.#sessions.size >= this.#size) return undefined;
    const opened = this.#open(idle, monotonicNow() + opening);
    const session = new LockSession(opened, idle, this.#connector, () => {
      this.#sessions.delete(session);
      this.#next();
    });
    this.#sessions.add(session);
    return session;
  }

  async #open(idle: number, deadline: number): Promise<Opened> {
    const opened = await this.#connector.open(deadline, { idle, lockWait: waitSlice });
    const { connection, dialect, version, direct } = opened;
    if (direct && version >= oldest[dialect].version) return opened;
    await connection.close();
    if (direct) throw new LockConfigError("database", version, `${oldest[dialect].name} or later`);
    throw new LockConfigError(
      "strategy",
      this.#strategy,
      '"version" behind a connection pooler such as pgbouncer: it lends one connection to many, and this strategy\'s locks belong to a connection. Or name the server itself',
    );
  }

  async #turn(deadline: number, signal: Signal): Promise<void> {
    const turn = new AbortController();
    const abort = () => turn.abort();
    signal.addEventListener("abort", abort);
    this.#line.add(turn);
    await pause(Math.min(deadline - monotonicNow(), 2 ** 31 - 1), { background: false, signal: turn.signal });
    signal.removeEventListener("abort", abort);
    // It may have been called when it did not want to be any more.
    if (!this.#line.delete(turn) && signal.aborted) this.#next();
  }

  #next(): void {
    const [first] = this.#line;
    if (first === undefined) return;
    this.#line.delete(first);
    first.abort();
  }

  #assertOpen(): void {
    if (this.#closed) throw new LockClosedError();
  }
}

function unserved(why: string): LockBackendError {
  return new LockBackendError(why, { retryable: true, noEffect: true });
}
