import { backoff, LockConfigError, monotonicNow, pause, settleBy } from "@dlock/core";
import type { Redis } from "ioredis";
import { failure, isDenied } from "./failure.js";

export interface Hearer {
  heard(message: string): void;
  /** Messages may have been missed until now. */
  subscribed(): void;
  /** The connection is gone. */
  interrupted(): void;
  /** The server does not let this user in. */
  refused(error: LockConfigError): void;
}

/** One connection that listens to one channel, and comes back as soon as it can when it broke. */
export class Subscription {
  readonly #client: Redis;
  readonly #channel: string;
  readonly #hearer: Hearer;
  readonly #over = new AbortController();
  /** Why the connection failed: the driver itself rejects with no more than that it is closed. */
  #trouble: unknown;
  /** Resolves with the outcome of the first try. */
  readonly first: Promise<void>;
  /** Whether the user has no right to listen. */
  denied = false;

  constructor(client: Redis, channel: string, hearer: Hearer) {
    this.#client = client;
    this.#channel = channel;
    this.#hearer = hearer;
    client.on("error", (error: unknown) => (this.#trouble = error));
    client.on("message", (_channel: string, message: string) => hearer.heard(message));
    this.first = new Promise((resolve) => void this.#listen(resolve));
  }

  /** Asks the server whether it is still there; a connection that gives no answer is destroyed by the driver. */
  doubt(): void {
    if (this.#client.status === "ready") this.#client.ping().catch(() => {});
  }

  close(): void {
    this.#over.abort();
    this.#disconnect();
  }

  async #listen(tried: () => void): Promise<void> {
    const { signal } = this.#over;
    for (let failures = 0; !signal.aborted && !this.denied;) {
      this.#trouble = undefined;
      try {
        const ended = new Promise<void>((resolve) => this.#client.once("end", () => resolve()));
        await this.#client.connect();
        await settleBy(
          () => this.#client.subscribe(this.#channel),
          monotonicNow() + 5_000,
          () => new Error("no answer"),
          background,
        );
        failures = 0;
        tried();
        this.#hearer.subscribed();
        await ended;
        if (!signal.aborted) this.#hearer.interrupted();
      } catch (error) {
        failures++;
        const reason = this.#trouble ?? error;
        this.denied = isDenied(reason);
        const problem = failure(reason);
        if (problem instanceof LockConfigError) this.#hearer.refused(problem);
        this.#disconnect();
        tried();
        await pause(backoff(failures), { ...background, signal });
      }
    }
    this.#disconnect();
  }

  /** The driver keeps the process alive for two seconds over a connection that had ended already. */
  #disconnect(): void {
    if (this.#client.status !== "end") this.#client.disconnect();
  }
}

const background = { background: true };
