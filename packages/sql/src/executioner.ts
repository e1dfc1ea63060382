import { monotonicNow, pause } from "@dlock/core";
import type { Connection } from "./connection.js";
import { codeOf } from "./server-failure.js";
import type { Session, SessionName } from "./session.js";

const patience = 3_000;
// As long as the next one may come: a thousand waiters are given up one by one.
const linger = 500;
const unknownThread = 1094;

interface Sentence {
  readonly name: SessionName;
  readonly since: number;
  readonly done: (failure?: unknown) => void;
}

/** Ends sessions of a server from the side, all on one connection that is there while it is needed. */
export class Executioner {
  readonly #session: Session;
  readonly #open: (deadline: number) => Promise<Connection>;
  readonly #sentences: Sentence[] = [];
  #working = false;
  #wake = new AbortController();

  constructor(session: Session, open: (deadline: number) => Promise<Connection>) {
    this.#session = session;
    this.#open = open;
  }

  /** Resolves when the server says that there is no such session any more: whatever it held is free. */
  end(name: SessionName): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (failure?: unknown) => (failure === undefined ? resolve() : reject(failure));
      this.#sentences.push({ name, since: monotonicNow(), done });
      this.#wake.abort();
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    let connection: Connection | undefined;
    do {
      for (let sentence; (sentence = this.#sentences.shift()) !== undefined;) {
        const { name, since, done } = sentence;
        const deadline = since + patience;
        try {
          if (connection === undefined || connection.lost.aborted) connection = await this.#open(deadline);
          while ((await this.#strike(connection, name, deadline)) > 0) await pause(5, { background: true });
          done();
        } catch (error) {
          done(error);
        }
      }
      this.#wake = new AbortController();
      await pause(linger, { background: true, signal: this.#wake.signal });
    } while (this.#sentences.length > 0);
    this.#working = false;
    await connection?.close();
  }

  /** How many sessions of that name are left. */
  async #strike(connection: Connection, name: SessionName, deadline: number): Promise<number> {
    const [look, strike] = this.#session.end(name);
    const [found] = (await connection.run(look, [], deadline)).rows;
    const left = Number(found?.["left_over"]);
    if (left > 0 && strike !== undefined) {
      await connection.run(strike, [], deadline).catch((error: unknown) => {
        if (codeOf(error) !== unknownThread) throw error;
      });
    }
    return left;
  }
}
