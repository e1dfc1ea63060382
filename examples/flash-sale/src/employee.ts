import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { SaleError } from "./error.js";
import type { FromSeller, Order, Served, ToSeller } from "./messages.js";

const program = fileURLToPath(new URL("seller.js", import.meta.url));
// A ZooKeeper session, and so the lock of a seller who is stopped, lasts for 30 s unless DLOCK_URL says otherwise.
const patience = 60_000;

type Kind = FromSeller["kind"];
type Message<K extends Kind> = Extract<FromSeller, { kind: K }>;

/** The shop's end of one seller process. Every wait ends: with the message, or with why it will not come. */
export class Employee {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #waits = new Map<Kind, (answer: FromSeller | Error) => void>();
  #failure: Error | undefined;

  constructor(name: string, stockFile: string) {
    this.name = name;
    this.#process = fork(program, [stockFile])
      .on("message", (message: FromSeller) => {
        if (message.kind === "failed") this.fail(new SaleError(`${name}: ${message.message}`));
        else this.#waits.get(message.kind)?.(message);
      })
      .on("error", (error) => this.fail(new SaleError(`${name} could not be started: ${error.message}`)))
      .on("exit", (code, signal) => this.fail(new SaleError(`${name} died (${signal ?? `exit status ${code}`})`)));
  }

  async ready(): Promise<void> {
    await this.#hear("ready");
  }

  async serve(order: Order): Promise<Served> {
    this.#tell(order);
    return this.#hear("served");
  }

  /** The stock that a seller with a `hold` order has read. */
  async thinking(): Promise<number> {
    const { left } = await this.#hear("thinking");
    return left;
  }

  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  goOn(): void {
    this.#process.kill("SIGCONT");
    this.#tell("go on");
  }

  fail(reason: Error): void {
    this.#failure ??= reason;
    for (const answer of this.#waits.values()) answer(this.#failure);
  }

  /** Ends the process: kindly, so that it gives up its locks, and if it does not listen by force. */
  async dismiss(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGCONT");
    if (this.#process.connected) this.#process.disconnect();
    const force = setTimeout(() => this.#process.kill("SIGKILL"), 2_000);
    await gone;
    clearTimeout(force);
  }

  #tell(message: ToSeller): void {
    // Whether it arrived, the answer tells, or the exit.
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  #hear<K extends Kind>(kind: K): Promise<Message<K>> {
    return new Promise((resolve, reject) => {
      const answer = (message: FromSeller | Error): void => {
        clearTimeout(timer);
        this.#waits.delete(kind);
        if (message instanceof Error) reject(message);
        else resolve(message as Message<K>);
      };
      const timer = setTimeout(() => answer(new SaleError(`${this.name} said nothing for ${patience} ms`)), patience);
      this.#waits.set(kind, answer);
      if (this.#failure !== undefined) answer(this.#failure);
    });
  }
}
