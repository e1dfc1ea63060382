import { refusal, ZooKeeperError } from "./zookeeper-error.js";

/** Nodes in one request, whose names may have 3 kB each: far from the 1 MiB that a server accepts. */
const most = 200;
/** The server's code for a check behind one that failed: it was not made. */
const unchecked = -2;

interface Asker {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Asks the leader for all of them at once: a code for each, 0 if the node exists. */
export type Check = (paths: readonly string[]) => Promise<readonly number[]>;

/** Nodes whose existence is asked about again and again, of the leader. Reads prove nothing: any server answers them. */
export class Keepers {
  readonly #ask: Check;
  readonly #kept = new Set<{ readonly path: string; readonly gone: () => void }>();
  #asked = new Map<string, Asker[]>();

  constructor(ask: Check) {
    this.#ask = ask;
  }

  get idle(): boolean {
    return this.#kept.size === 0;
  }

  keep(path: string, gone: () => void): () => void {
    const keeper = { path, gone };
    this.#kept.add(keeper);
    return () => void this.#kept.delete(keeper);
  }

  /** Asks about all that are kept. */
  beat(): void {
    for (const keeper of this.#kept) {
      this.check(keeper.path).catch((error: unknown) => {
        const gone = error instanceof ZooKeeperError && error.reason === "NO_NODE";
        if (gone && this.#kept.delete(keeper)) keeper.gone();
      });
    }
  }

  check(path: string): Promise<void> {
    if (this.#asked.size === 0) queueMicrotask(() => this.#flush());
    return new Promise((resolve, reject) => {
      const askers = this.#asked.get(path);
      if (askers === undefined) this.#asked.set(path, [{ resolve, reject }]);
      else askers.push({ resolve, reject });
    });
  }

  #flush(): void {
    const asked = [...this.#asked];
    this.#asked = new Map();
    for (let from = 0; from < asked.length; from += most) void this.#settle(asked.slice(from, from + most));
  }

  async #settle(asked: readonly (readonly [string, readonly Asker[]])[]): Promise<void> {
    try {
      const codes = await this.#ask(asked.map(([path]) => path));
      const left = asked.filter((_, index) => codes[index] === unchecked);
      for (const [index, [path, askers]] of asked.entries()) {
        const code = codes[index] ?? 0;
        for (const { resolve, reject } of askers) {
          if (code === 0) resolve();
          else if (code !== unchecked) reject(refusal(code, `check ${path}`));
        }
      }
      // One of the others failed, so that there are fewer now.
      if (left.length > 0) await this.#settle(left);
    } catch (error) {
      for (const [, askers] of asked) for (const { reject } of askers) reject(error);
    }
  }
}
