import type { Clock } from "./clock.js";
import type { Engine, Place, Program } from "./engine.js";
import { record } from "./record.js";
import { until, within } from "./until.js";

const patience = 20_000;

/** A server that was started here, and everything that can happen to one. */
export class Server {
  readonly #place: Place;
  readonly #name: string;
  readonly #answers: () => Promise<boolean>;

  private constructor(place: Place, name: string, answers: () => Promise<boolean>) {
    this.#place = place;
    this.#name = name;
    this.#answers = answers;
  }

  /** Resolves when it `answers`. */
  static async start(engine: Engine, program: Program, answers: () => Promise<boolean>): Promise<Server> {
    const server = new Server(await engine.prepare(program), program.software.backend, answers);
    try {
      await server.#run();
    } catch (error) {
      await server.stop();
      throw error;
    }
    record(program.software.backend, engine.title);
    return server;
  }

  /** Its wall clock, if it was asked for and can be moved: on Linux with libfaketime, not in a container. */
  get clock(): Clock | undefined {
    return this.#place.clock;
  }

  /** Whether it has not ended, of itself or by force. */
  isRunning(): Promise<boolean> {
    return this.#place.isRunning();
  }

  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void> {
    return this.#bounded("killing", this.#place.kill());
  }

  /** SIGSTOP: it stands still and keeps its connections. */
  pause(): Promise<void> {
    return this.#bounded("stopping", this.#place.pause());
  }

  /** SIGCONT */
  resume(): Promise<void> {
    return this.#bounded("resuming", this.#place.resume());
  }

  /** Kills it unless it is dead, and starts it again where it was; resolves when it answers. */
  async restart({ keepData }: { readonly keepData: boolean }): Promise<void> {
    await this.kill();
    if (!keepData) await this.#bounded("emptying", this.#place.wipe());
    await this.#run();
  }

  /** Ends it and removes its data. */
  stop(): Promise<void> {
    return this.#bounded("removing", this.#place.remove());
  }

  /** The end of its log. */
  log(): Promise<string> {
    return this.#place.log();
  }

  #bounded(doing: string, work: Promise<void>): Promise<void> {
    return within(patience, work, `${doing} ${this.#name}`);
  }

  async #run(): Promise<void> {
    await this.#place.run();
    const ready = async (): Promise<boolean> => {
      if (!(await this.#place.isRunning())) throw new Error(`${this.#name} ended`);
      return this.#answers();
    };
    try {
      await until(ready, patience, () => `${this.#name} does not answer`);
    } catch (error) {
      throw new Error(`${(error as Error).message}; the end of its log:\n${await this.#place.log()}`, { cause: error });
    }
  }
}
