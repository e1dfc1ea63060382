import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";

/** Removes a folder; before that `undo`, a shell line run in it, takes back what its program left elsewhere. */
export async function removeFolder(path: string, undo?: string): Promise<void> {
  if (undo !== undefined && existsSync(path))
    spawnSync("sh", ["-c", undo], { cwd: path, stdio: "ignore", timeout: 5_000 });
  await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
