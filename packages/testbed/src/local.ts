import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { realpathSync, rmSync } from "node:fs";
import { chown, mkdir, mkdtemp, open, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Software } from "./backend.js";
import { Clock } from "./clock.js";
import type { Engine, Place, Program } from "./engine.js";
import { removeFolder } from "./folder.js";
import { startScript } from "./start-script.js";
import { killTree, pauseTree, resumeTree } from "./tree.js";
import { unprivileged } from "./user.js";
import type { User } from "./user.js";
import { watch } from "./watchdog.js";
import { which } from "./which.js";

/** Runs the binaries of this machine, where there are some. */
export function findLocal(software: Software): Engine | undefined {
  const command = software.commands
    .map(which)
    .find((path) => path !== undefined && basename(realpathSync(path)) !== software.impostor);
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
  #clock: Clock | undefined;
  #child: ChildProcess | undefined;

  private constructor(command: string, program: Program, user: User | undefined, folder: string) {
    this.#command = command;
    this.#program = program;
    this.#user = user;
    this.#folder = folder;
    const forget = [
      watch({ kind: "folder", path: folder }),
      watch({ kind: "folder", path: this.#data, undo: program.undo }),
    ];
    this.#forget = () => forget.forEach((call) => call());
  }

  static async prepare(command: string, program: Program, user: User | undefined): Promise<LocalPlace> {
    const folder = await mkdtemp(join(tmpdir(), `dlock-${program.software.backend}-`));
    const place = new LocalPlace(command, program, user, folder);
    await place.#own(folder);
    if (program.clock === true) place.#clock = await Clock.in(folder);
    await place.#furnish();
    return place;
  }

  get clock(): Clock | undefined {
    return this.#clock;
  }

  async run(): Promise<void> {
    const log = await open(this.#log, "a");
    try {
      const { args, env, setup } = this.#program;
      const [command, ...rest] =
        setup === undefined ? [this.#command, ...args] : ["sh", "-c", startScript(setup), "sh", ...args];
      const child = spawn(command, rest, {
        ...this.#user,
        cwd: this.#data,
        env: { ...process.env, ...this.#clock?.env, ...env, SERVER: this.#command },
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
      });
      await once(child, "spawn");
      const pid = child.pid ?? 0;
      const traces = this.#clock ? Clock.traces(pid) : [];
      const forget = [...traces.map((path) => watch({ kind: "folder", path })), watch({ kind: "process", pid })];
      child.once("exit", () => {
        for (const path of traces) rmSync(path, { force: true });
        for (const call of forget) call();
      });
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
    await killTree(child.pid);
    await gone;
  }

  async pause(): Promise<void> {
    if (alive(this.#child)) await pauseTree(this.#child.pid);
  }

  resume(): Promise<void> {
    if (alive(this.#child)) resumeTree(this.#child.pid);
    return Promise.resolve();
  }

  async wipe(): Promise<void> {
    await removeFolder(this.#data, this.#program.undo);
    await this.#furnish();
  }

  async remove(): Promise<void> {
    await this.kill();
    await removeFolder(this.#data, this.#program.undo);
    await removeFolder(this.#folder);
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

function alive(child: ChildProcess | undefined): child is ChildProcess & { readonly pid: number } {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
