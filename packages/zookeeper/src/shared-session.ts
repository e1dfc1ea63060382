import { setMaxListeners } from "node:events";
import { monotonicNow, type ProviderContext, settleBy } from "@dlock/core";
import { Session, type SessionOptions, ZooKeeperError } from "./session.js";

/** ms that opening a session may take, whoever waits for it. */
const patience = 10_000;

/** The session of a provider: opened when first needed, and a new one once it was lost. */
export class SharedSession {
  readonly #options: SessionOptions;
  readonly #emit: ProviderContext["emit"];
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  readonly #closing = new AbortController();

  constructor(options: SessionOptions, emit: ProviderContext["emit"]) {
    this.#options = options;
    this.#emit = emit;
  }

  /** A session that is connected, or a rejection by `until`. */
  async ready(until: number): Promise<Session> {
    const late = () => new ZooKeeperError("CONNECTION_LOSS", "no session in time", { noEffect: true });
    for (;;) {
      const session = await settleBy(() => this.#current(), until, late, { background: false });
      try {
        await session.ready(until);
        return session;
      } catch (error) {
        if (!session.lost.aborted || this.#closed) throw error;
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opening?.catch(() => {});
    await this.#session?.close();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #current(): Promise<Session> {
    if (this.#closed) throw new ZooKeeperError("CLOSED", "this provider is closed", { noEffect: true });
    if (this.#session?.lost.aborted === false) return this.#session;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #open(): Promise<Session> {
    const session = await Session.open(this.#options, monotonicNow() + patience, this.#closing.signal);
    this.#session = session;
    // Every claim listens to it, and Node 20 takes eleven for a leak.
    setMaxListeners(0, session.lost);
    session.onConnection((connected) => {
      if (connected) this.#emit({ code: "RECONNECTED", message: "connected to ZooKeeper again, in the same session" });
    });
    session.lost.addEventListener("abort", () => {
      const message = "the ZooKeeper session is over, and every hold and place in line with it";
      if (!this.#closed) this.#emit({ code: "SESSION_LOST", message, error: session.lost.reason });
    });
    return session;
  }
}
