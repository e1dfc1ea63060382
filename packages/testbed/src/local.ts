import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Software } from "./backend.js";
import type { Engine, Place, Program } from "./engine.js";
import { unprivileged } from "./user.js";
import type { User } from "./user.js";
import { watch } from "./watchdog.js";
import { which } from "./which.js";

/** Runs the binaries of this machine, where there are some. */
export function findLocal(software: Software): Engine | undefined {
  const command = software.commands.map(which).find((path) => path !== undefined);
  if (command === undefined) return undefined;
  const user = process.getuid?.() === 0 ? unprivileged(software.users) : undefined;
  return { title: command, prepare: (program) => LocalPlace.prepare(command, program, user) };
}

class LocalPlace implements Place {
  readonly #command: string;
  readonly #program: Program;
  readonly #user: User | undefined;
  readonly #folder: string;
  readonly #forget: () => void;
  #child: ChildProcess | undefined;

  private constructor(command: string, program: Program, user: User | undefined, folder: string) {
    this.#command = command;
    this.#program = program;
    this.#user = user;
    this.#folder = folder;
    this.#forget = watch({ kind: "folder", path: folder });
  }

  static async prepare(command: string, program: Program, user: User | undefined): Promise<LocalPlace> {
    const folder = await mkdtemp(join(tmpdir(), `dlock-${program.software.backend}-`));
    const place = new LocalPlace(command, program, user, folder);
    await place.#own(folder);
    await place.#furnish();
    return place;
  }

  async run(): Promise<void> {
    const log = await open(this.#log, "a");
    try {
      const child = spawn(this.#command, this.#program.args, {
        ...this.#user,
        cwd: this.#data,
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
      });
      await once(child, "spawn");
      const forget = watch({ kind: "process", pid: child.pid ?? 0 });
      child.once("exit", forget);
      // A server is no reason for a process to live.
      child.unref();
      this.#child = child;
    } finally {
      await log.close();
    }
  }

  isRunning(): Promise<boolean> {
    return Promise.resolve(alive(this.#child));
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!alive(child)) return;
    child.ref();
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  pause(): Promise<void> {
    this.#child?.kill("SIGSTOP");
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.#child?.kill("SIGCONT");
    return Promise.resolve();
  }

  async wipe(): Promise<void> {
    await rm(this.#data, { recursive: true });
    await this.#furnish();
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
    this.#forget();
  }

  async log(): Promise<string> {
    return (await readFile(this.#log, "utf8")).split("\n").slice(-20).join("\n").trim();
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  get #log(): string {
    return join(this.#folder, "log");
  }

  async #furnish(): Promise<void> {
    await mkdir(this.#data);
    await this.#own(this.#data);
    for (const name of this.#program.files ?? []) {
      await writeFile(join(this.#data, name), "");
      await this.#own(join(this.#data, name));
    }
  }

  async #own(path: string): Promise<void> {
    if (this.#user) await chown(path, this.#user.uid, this.#user.gid);
  }
}

function alive(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}
