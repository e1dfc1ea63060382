import { hasApt, installWithApt } from "./apt.js";
import type { Software } from "./backend.js";
import type { Clock } from "./clock.js";
import { findLocal } from "./local.js";

/** A way to run servers. */
export interface Engine {
  /** What runs, for people. */
  readonly title: string;
  /** Prepares a place where a program can run; nothing runs yet. */
  prepare(program: Program): Promise<Place>;
}

/** What may be asked for besides the configuration of a server. */
export interface Extras extends Pick<Program, "clock"> {
  /** The server's time zone, `Europe/Berlin`; default: this process's. */
  readonly zone?: string | undefined;
}

/** What is to run. */
export interface Program {
  readonly software: Software;
  readonly args: readonly string[];
  /** Exist, empty, in the working directory, before the program starts. */
  readonly files?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Its wall clock is to be moved while it runs, where that can be had. */
  readonly clock?: boolean | undefined;
  /** Shell lines that furnish the empty working directory before the first start; `$SERVER` is the program. */
  readonly setup?: string;
  /** A shell line, run in the working directory, that takes back what a killed program leaves outside of it. */
  readonly undo?: string;
}

/** Where one program runs, with its data. */
export interface Place {
  readonly clock?: Clock | undefined;
  /** Starts the program. */
  run(): Promise<void>;
  isRunning(): Promise<boolean>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP */
  pause(): Promise<void>;
  /** SIGCONT */
  resume(): Promise<void>;
  /** Forgets the data of a program that does not run. */
  wipe(): Promise<void>;
  /** Kills the program and removes all traces. */
  remove(): Promise<void>;
  /** The end of what the program said. */
  log(): Promise<string>;
}

const found = new Map<string, Promise<Engine>>();

/** The engine for a backend, as `DLOCK_TEST_ENGINE` asks for (docker, local or auto); missing software is installed where that can be done. */
export function engineFor(software: Software): Promise<Engine> {
  const engine = found.get(software.backend) ?? chooseEngine(software);
  found.set(software.backend, engine);
  return engine;
}

// Loaded only where it is needed: it brings a lot.
async function findDocker(software: Software): Promise<Engine | string> {
  return (await import("./docker.js")).findDocker(software);
}

/** The same, chosen anew. */
export async function chooseEngine(software: Software): Promise<Engine> {
  const wanted = process.env["DLOCK_TEST_ENGINE"] || "auto";
  const command = software.commands[0];
  switch (wanted) {
    case "docker": {
      const docker = await findDocker(software);
      if (typeof docker === "string") throw new Error(`DLOCK_TEST_ENGINE is docker, but ${docker}`);
      return docker;
    }
    case "local":
    case "auto": {
      const local = findLocal(software);
      if (local) return local;
      const docker = wanted === "auto" ? await findDocker(software) : "DLOCK_TEST_ENGINE is local";
      if (typeof docker !== "string") return docker;
      if (!hasApt() || software.packages.apt.length === 0 || process.getuid?.() !== 0)
        throw new Error(`there is no ${command} and ${docker}; ${remedy(software)}`);
      await installWithApt(software);
      const installed = findLocal(software);
      if (!installed) throw new Error(`${software.packages.apt.join(" ")} brought no ${command}`);
      return installed;
    }
    default:
      throw new Error(`DLOCK_TEST_ENGINE is "${wanted}"; it can be docker, local or auto`);
  }
}

function remedy({ packages, commands }: Software): string {
  if (process.platform === "darwin") return `run: brew install ${packages.brew.join(" ")}`;
  if (hasApt() && packages.apt.length > 0)
    return `run: sudo apt-get install --no-install-recommends ${packages.apt.join(" ")}`;
  return `install ${commands.join(" or ")}, or start Docker`;
}
