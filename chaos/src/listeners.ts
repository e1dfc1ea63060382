import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";

/** Who listens to this process or to a signal, compared with before. */
export class Listeners {
  readonly #signal: AbortSignal;
  readonly #before: number;

  private constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#before = toProcess();
  }

  static async of(signal: AbortSignal): Promise<Listeners> {
    // What loads the program, or comes with the first look at a terminal, listens too.
    await setImmediate([process.stdout, process.stderr]);
    return new Listeners(signal);
  }

  /** What was left behind since; undefined: nothing. */
  left(): string | undefined {
    const [ofSignal, ofProcess] = [getEventListeners(this.#signal, "abort").length, toProcess() - this.#before];
    if (ofSignal === 0 && ofProcess === 0) return undefined;
    return `${ofSignal} listeners to a signal, ${ofProcess} more to the process`;
  }
}

function toProcess(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}
