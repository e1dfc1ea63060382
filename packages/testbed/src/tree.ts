import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { until } from "./until.js";

/** SIGKILL for a program and all it has started; resolves when they are gone. */
export async function killTree(root: number): Promise<void> {
  const family = signalTree(root, "SIGSTOP");
  for (const pid of family) signal(pid, "SIGKILL");
  const gone = (): boolean => {
    const living = new Set(processes().map(({ pid }) => pid));
    return !family.some((pid) => living.has(pid));
  };
  await until(gone, 10_000, () => `process ${root} and its children do not end`);
}

/** SIGSTOP; resolves when all of them stand still, with all their threads: one that runs at that moment may still answer. */
export async function pauseTree(root: number): Promise<void> {
  const family = signalTree(root, "SIGSTOP");
  await until(
    () => family.every(standsStill),
    10_000,
    () => `process ${root} and its children do not stop`,
  );
}

/** SIGCONT */
export function resumeTree(root: number): void {
  signalTree(root, "SIGCONT");
}

/** Or is gone. */
function standsStill(pid: number): boolean {
  return statesOf(pid).every((state) => /^[TtZX]/.test(state));
}

/** Of its threads, where they can be seen. */
function statesOf(pid: number): readonly string[] {
  if (process.platform !== "linux") return fromPs().flatMap(([id, state]) => (id === String(pid) ? [state ?? ""] : []));
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => stateIn(`/proc/${pid}/task/${thread}/stat`)?.[0] ?? []);
  } catch {
    return [];
  }
}

/** The parent first: who stands still starts no further children. */
function signalTree(root: number, name: NodeJS.Signals): readonly number[] {
  const family = [root];
  signal(root, name);
  for (;;) {
    const more = processes().filter(({ pid, parent }) => family.includes(parent) && !family.includes(pid));
    if (more.length === 0) return family;
    for (const { pid } of more) signal(pid, name);
    family.push(...more.map(({ pid }) => pid));
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone.
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
}

/** All that live on this machine; zombies do not. */
function processes(): readonly Process[] {
  // Small Linux systems have no ps.
  const rows = process.platform === "linux" ? fromProc() : fromPs();
  return rows
    .filter(([, state]) => !/^[ZX]/.test(state ?? ""))
    .map(([pid, , parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}

function fromProc(): readonly (readonly string[])[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const state = stateIn(`/proc/${pid}/stat`);
      return state ? [[pid, ...state]] : [];
    });
}

/** State and parent. */
function stateIn(file: string): readonly string[] | undefined {
  try {
    const stat = readFileSync(file, "latin1");
    // What stands before the last bracket is the program's name, in which anything may stand.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ", 2);
  } catch {
    // It is gone.
    return undefined;
  }
}

function fromPs(): readonly (readonly string[])[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,stat=,ppid="], { encoding: "utf8" });
  return stdout.split("\n").map((line) => line.trim().split(/\s+/));
}
