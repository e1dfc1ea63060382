import { spawnSync } from "node:child_process";
import { appendFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeFolder } from "./folder.js";
import { watch } from "./watchdog.js";

/** A folder with a file system of its own, in memory, which can be full. */
export class SmallDisk {
  readonly path: string;
  readonly #undo: string;
  readonly #forget: () => void;

  private constructor(path: string) {
    this.path = path;
    this.#undo = `cd / && umount -l '${path}'`;
    this.#forget = watch({ kind: "folder", path, undo: this.#undo });
  }

  /** With room for so many bytes; undefined for those who may not mount it: all but root on Linux. */
  static async make(bytes: number): Promise<SmallDisk | undefined> {
    const path = await mkdtemp(join(tmpdir(), "dlock-disk-"));
    const disk = new SmallDisk(path);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path]).status === 0) return disk;
    await disk.remove();
    return undefined;
  }

  fill(): void {
    for (const size of [65_536, 4_096, 1]) this.#append(size);
  }

  /** What filled it is gone. */
  clear(): void {
    rmSync(this.#ballast, { force: true });
  }

  async remove(): Promise<void> {
    await removeFolder(this.path, this.#undo);
    this.#forget();
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }

  #append(size: number): void {
    try {
      for (;;) appendFileSync(this.#ballast, Buffer.alloc(size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
}
