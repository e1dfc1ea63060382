import { spawn } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

let interrupted = false;

/** Runs a program to its end. With `show: false` its output is kept for the caller, who shows it only when there is something to see in it. */
export function run(program, args, { show = true, env = {}, cwd = root, timeout } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: show ? "inherit" : ["ignore", "pipe", "pipe"],
    });
    const output = [];
    child.stdout?.on("data", (chunk) => output.push(chunk));
    child.stderr?.on("data", (chunk) => output.push(chunk));
    const terminate = () => child.kill();
    const limit = timeout === undefined ? undefined : setTimeout(terminate, timeout);
    // The terminal interrupts the child as well: stay until it has cleaned up.
    const interrupt = () => void (interrupted = true);
    process.on("SIGTERM", terminate).on("SIGINT", interrupt);
    const end = (status, problem) => {
      clearTimeout(limit);
      process.off("SIGTERM", terminate).off("SIGINT", interrupt);
      if (interrupted) process.exit(130);
      resolve({ status, output: Buffer.concat(output).toString() + problem });
    };
    child.on("error", (error) => end(127, error.message));
    child.on("close", (status, signal) =>
      end(status ?? 1, signal === null ? "" : `${program} was ended by ${signal}\n`),
    );
  });
}
