import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));

/** One run of the built demo, in a temp folder of its own so that what it leaves behind can be seen. */
export class Demo {
  readonly temp: string = mkdtempSync(join(tmpdir(), "flash-sale-test-"));
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  output = "";
  errors = "";

  constructor(env: Record<string, string> = {}, args: readonly string[] = []) {
    const inherited = { ...process.env };
    delete inherited["DLOCK_URL"];
    this.#process = spawn(process.execPath, [program, ...args], { env: { ...inherited, TMPDIR: this.temp, ...env } });
    this.#exit = once(this.#process, "close");
    this.#process.stdout?.on("data", (chunk) => (this.output += chunk));
    this.#process.stderr?.on("data", (chunk) => (this.errors += chunk));
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async status(): Promise<unknown> {
    const [status] = await this.#exit;
    return status;
  }

  /** Until the demo has printed it. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) await Promise.race([once(this.#process.stdout!, "data"), this.#ended(text)]);
  }

  /** The demo's seller processes that live now: process id and state (T: stopped). */
  sellers(): { pid: number; state: string }[] {
    return processes().filter(({ command }) => command.includes("seller.js") && command.includes(this.temp));
  }

  killSeller(): void {
    const [victim] = this.sellers();
    if (victim === undefined) throw new Error("the demo has no sellers");
    process.kill(victim.pid, "SIGKILL");
  }

  /** What the demo's temp folder holds. */
  leftovers(): string[] {
    return readdirSync(this.temp);
  }

  /** The rows of the final table, by round. */
  table(): Record<string, Record<string, string>> {
    const [head = [], ...rows] = this.output
      .split("\n")
      .filter((line) => line.startsWith("│"))
      .map((line) =>
        line
          .slice(1, -1)
          .split("│")
          .map((cell) => cell.trim()),
      );
    return Object.fromEntries(
      rows.map((row) => [row[0], Object.fromEntries(head.map((title, n) => [title, row[n] ?? ""]))]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#exit;
    rmSync(this.temp, { recursive: true, force: true });
  }

  async #ended(text: string): Promise<never> {
    await this.#exit;
    throw new Error(`the demo ended before it printed "${text}": ${this.output}${this.errors}`);
  }
}

interface RunningProcess {
  readonly pid: number;
  readonly state: string;
  readonly command: string;
}

/** From /proc where there is one: a minimal Debian has no ps. */
function processes(): RunningProcess[] {
  if (existsSync("/proc/self/stat")) return readdirSync("/proc").filter(isNumber).flatMap(fromProc);
  const lines = execFileSync("ps", ["-ww", "-eo", "pid=,stat=,args="], { encoding: "utf8" }).split("\n");
  return lines
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, state = "", ...args]) => ({ pid: Number(pid), state, command: args.join(" ") }));
}

function fromProc(pid: string): RunningProcess[] {
  try {
    const state = /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "";
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return [{ pid: Number(pid), state, command }];
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function isNumber(name: string): boolean {
  return /^\d+$/.test(name);
}
