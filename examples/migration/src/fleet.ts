import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Config } from "@dlock/core";
import type { Section } from "./section.js";

const program = fileURLToPath(new URL("worker.js", import.meta.url));
const patience = 60_000;

/** Processes that work at the same keys, each with a configuration of its own. */
export class Fleet {
  readonly sections: Section[] = [];
  readonly #keys: number;
  readonly #workers: ChildProcess[] = [];
  #trouble: Error | undefined;
  #heard: () => void = () => {};

  constructor(keys: number) {
    this.#keys = keys;
  }

  /** Adds a process; resolves when it works. */
  async add(config: Config): Promise<void> {
    this.#workers.push(await this.#start(config));
  }

  /** Replaces one process by another, which works before the first one leaves. */
  async replace(place: number, config: Config): Promise<void> {
    const next = await this.#start(config);
    const [former] = this.#workers.splice(place, 1, next);
    if (former) await leave(former);
  }

  /** Replaces one process that was killed in the middle of its work. */
  async crash(place: number, config: Config): Promise<void> {
    const [former] = this.#workers.splice(place, 1, await this.#start(config));
    if (former) await kill(former);
  }

  /** Until so many more critical sections were run. */
  async work(sections: number): Promise<void> {
    const enough = this.sections.length + sections;
    const alarm = setTimeout(() => this.#fail(new Error(`no ${sections} sections in ${patience} ms`)), patience);
    while (this.sections.length < enough) {
      if (this.#trouble) throw this.#trouble;
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
    clearTimeout(alarm);
  }

  async dismiss(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map(leave));
  }

  async #start(config: Config): Promise<ChildProcess> {
    const args = [JSON.stringify(config), String(this.#keys)];
    const worker = fork(program, args, { serialization: "advanced", execArgv: [] });
    const [said] = (await Promise.race([once(worker, "message"), once(worker, "exit")])) as unknown[];
    if (said !== "ready") throw new Error("a worker did not start");
    worker.on("message", (section: Section) => {
      this.sections.push(section);
      this.#heard();
    });
    worker.on("exit", (code) => {
      if (code !== 0 && this.#workers.includes(worker)) this.#fail(new Error(`a worker died with status ${code}`));
    });
    return worker;
  }

  #fail(trouble: Error): void {
    this.#trouble ??= trouble;
    this.#heard();
  }
}

async function leave(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, "exit");
  worker.send("leave", () => {});
  const force = setTimeout(() => worker.kill("SIGKILL"), patience / 4);
  await gone;
  clearTimeout(force);
}

async function kill(worker: ChildProcess): Promise<void> {
  const gone = once(worker, "exit");
  worker.kill("SIGKILL");
  await gone;
}
