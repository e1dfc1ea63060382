import type { ProviderContext } from "@dlock/core";
import type { Redis } from "ioredis";
import type { Link } from "./link.js";

/** Warns, once, when a server may throw locks away to make room for others. */
export class Eviction {
  readonly #link: Link;
  readonly #emit: ProviderContext["emit"];
  #looked = false;

  constructor(link: Link, emit: ProviderContext["emit"]) {
    this.#link = link;
    this.#emit = emit;
  }

  /** Never throws; a user who may not look is not warned. */
  look = (): void => {
    if (this.#looked) return;
    this.#looked = true;
    for (const node of this.#link.primaries()) this.#ask(node).catch(() => {});
  };

  async #ask(node: Redis): Promise<void> {
    const info = await node.info("memory");
    const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0);
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? "noeviction";
    if (limit === 0 || policy === "noeviction") return;
    const message = `redis may forget locks when its memory is full: maxmemory-policy is ${policy}, locks need noeviction`;
    this.#emit({ code: "EVICTION", message });
  }
}
