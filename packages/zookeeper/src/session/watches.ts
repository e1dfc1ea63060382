/** Called once: something happened at the path, so read it again; or the session is lost. Must not throw. */
export type Watch = () => void;

/** Who waits for what happens where. The server tells once, whoever asked and how often. */
export class Watches {
  readonly #byPath = new Map<string, Set<Watch>>();

  add(path: string, watch: Watch): void {
    const watches = this.#byPath.get(path);
    if (watches === undefined) this.#byPath.set(path, new Set([watch]));
    else watches.add(watch);
  }

  remove(watch: Watch): void {
    for (const [path, watches] of this.#byPath) {
      if (watches.delete(watch) && watches.size === 0) this.#byPath.delete(path);
    }
  }

  fire(path: string): void {
    const watches = this.#byPath.get(path);
    this.#byPath.delete(path);
    for (const watch of watches ?? []) watch();
  }

  fireAll(): void {
    const paths = Array.from(this.#byPath.keys());
    for (const path of paths) this.fire(path);
  }
}
