import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What must not outlive this process. */
export type Leftover =
  | { readonly kind: "process"; readonly pid: number }
  | { readonly kind: "folder"; readonly path: string; readonly undo?: string | undefined }
  | { readonly kind: "container"; readonly name: string };

let watchdog: ChildProcess | undefined;
let orders = 0;

/** Has it removed when this process ends in whatever way, SIGKILL included; returns what calls that off. */
export function watch(leftover: Leftover): () => void {
  const id = ++orders;
  tell({ id, leftover });
  return () => tell({ id });
}

/** One order to the watchdog; without a leftover, an earlier one is called off. */
export interface WatchdogOrder {
  readonly id: number;
  readonly leftover?: Leftover;
}

function tell(order: WatchdogOrder): void {
  watchdog ??= start();
  watchdog.stdin?.write(`${JSON.stringify(order)}\n`);
}

// It sees our end as the end of its input, which no way of dying can prevent. Detached, since signals for a whole process group are not meant for it.
function start(): ChildProcess {
  const program = fileURLToPath(new URL("watchdog-program.js", import.meta.url));
  const child = spawn(process.execPath, [program], { cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] });
  child.unref();
  const input = child.stdin as typeof child.stdin & { unref(): void };
  input.unref();
  input.on("error", () => {});
  return child;
}
