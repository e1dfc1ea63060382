import type { Direction, Link } from "./link.js";

/** Several links, disturbed together. */
export class Bundle implements Omit<Link, "port"> {
  readonly #links: readonly Omit<Link, "port">[];

  constructor(links: readonly Omit<Link, "port">[]) {
    this.#links = links;
  }

  get touched(): number {
    return this.#links.reduce((sum, link) => sum + link.touched, 0);
  }

  freeze(direction?: Direction): void {
    for (const link of this.#links) link.freeze(direction);
  }

  cut(): void {
    for (const link of this.#links) link.cut();
  }

  delay(ms: number, direction?: Direction): void {
    for (const link of this.#links) link.delay(ms, direction);
  }

  dropReplies(): void {
    for (const link of this.#links) link.dropReplies();
  }

  truncate(): void {
    for (const link of this.#links) link.truncate();
  }

  heal(): void {
    for (const link of this.#links) link.heal();
  }
}
