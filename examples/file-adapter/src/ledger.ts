import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

/** One hold, while its file is there: the file's number, its content, and its time of modification. */
export interface Page {
  readonly token: bigint;
  readonly claim: string;
  readonly expires: number;
}

/** The holds of one key, numbered from 1. Only the last file counts; it is never removed, so that no number comes twice. */
export class Ledger {
  readonly #folder: string;

  constructor(folder: string, key: string) {
    this.#folder = resolve(folder, createHash("sha256").update(key).digest("hex"));
  }

  async last(): Promise<Page | undefined> {
    for (;;) {
      const token = (await this.#numbers()).at(-1);
      if (token === undefined) return undefined;
      const file = this.#path(token);
      const found = await Promise.all([readFile(file, "utf8"), stat(file)]).catch(missing);
      // A file that went in between was not the last any more.
      if (found !== undefined) return { token, claim: found[0], expires: found[1].mtimeMs };
    }
  }

  /** Adds the page unless there is one of its number or a later one; of several who try, one is told true. */
  append({ token, claim, expires }: Page): Promise<boolean> {
    return this.#draft(claim, async (draft) => {
      await utimes(draft, expires / 1_000, expires / 1_000);
      if ((await link(draft, this.#path(token)).catch(exists)) === false) return false;
      const numbers = await this.#numbers();
      // Whoever was stopped for long may have written a number that had been used and tidied away.
      const isLast = numbers.at(-1) === token;
      const stale = isLast ? numbers.slice(0, -1) : [token];
      await Promise.all(stale.map((number) => unlink(this.#path(number)).catch(missing)));
      return isLast;
    });
  }

  async expireAt(token: bigint, expires: number): Promise<void> {
    await utimes(this.#path(token), expires / 1_000, expires / 1_000).catch(missing);
  }

  /** ms on the file system's clock, which all processes share whatever they believe the time to be. */
  now(): Promise<number> {
    return this.#draft("", async (draft) => (await stat(draft)).mtimeMs);
  }

  async #draft<Result>(text: string, work: (file: string) => Promise<Result>): Promise<Result> {
    const file = resolve(this.#folder, `draft-${randomUUID()}`);
    await mkdir(this.#folder, { recursive: true });
    await writeFile(file, text);
    try {
      return await work(file);
    } finally {
      await unlink(file);
    }
  }

  async #numbers(): Promise<readonly bigint[]> {
    const names = (await readdir(this.#folder).catch(missing)) ?? [];
    return names
      .filter((name) => /^\d+$/.test(name))
      .map(BigInt)
      .sort((one, other) => Number(one - other));
  }

  #path(token: bigint): string {
    return resolve(this.#folder, String(token));
  }
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

function exists(error: NodeJS.ErrnoException): false {
  if (error.code !== "EEXIST") throw error;
  return false;
}
