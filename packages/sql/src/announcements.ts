import { backoff, LockConfigError, monotonicNow, pause } from "@dlock/core";
import type { Connector } from "./connector.js";

/** What is heard: the key as stored of a lease that was given up. */
export interface Audience {
  heard(key: string): void;
  /** Whether everything that is announced from now on is heard. */
  listening(listens: boolean): void;
}

const patience = 10_000;

/** `LISTEN` on one connection, made when somebody waits, and made again when it breaks. */
export class Announcements {
  readonly #connector: Connector;
  readonly #channel: string;
  #begun = false;
  #refusal: LockConfigError | undefined;

  constructor(connector: Connector, channel: string) {
    this.#connector = connector;
    this.#channel = channel;
  }

  /** Goes on in the background until the connector is closed. Throws `LockConfigError` once it is known that nothing could be heard. */
  tell(audience: Audience): void {
    if (this.#refusal) throw this.#refusal;
    if (this.#begun) return;
    this.#begun = true;
    void this.#keepListening(audience);
  }

  async check(): Promise<void> {
    const opened = await this.#open();
    await opened.connection.close();
  }

  async #keepListening(audience: Audience): Promise<void> {
    for (let failures = 0; !this.#connector.closed && !this.#refusal; failures++) {
      try {
        const { connection } = await this.#open();
        connection.onNotification((_, key) => audience.heard(key));
        await connection.run(`LISTEN "${this.#channel}"`, [], monotonicNow() + patience);
        audience.listening(true);
        failures = 0;
        await new Promise<void>((resolve) => connection.lost.addEventListener("abort", () => resolve()));
        audience.listening(false);
      } catch {
        // Waiters go on looking meanwhile.
      }
      await pause(backoff(failures), { background: true });
    }
  }

  async #open() {
    const opened = await this.#connector.open(monotonicNow() + patience);
    if (opened.direct) return opened;
    await opened.connection.close();
    const accepted = "a connection of its own to PostgreSQL: through a transaction pooler LISTEN hears nothing";
    throw (this.#refusal = new LockConfigError("notify", true, accepted));
  }
}
