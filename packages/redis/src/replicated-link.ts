import type { ChainableCommander } from "ioredis";
import type { Acquisition } from "./deployment.js";
import { isUnknownScript } from "./failure.js";
import type { LockKeys } from "./keys.js";
import type { Link, Node } from "./link.js";
import type { Settings } from "./options.js";
import type { Script } from "./scripts/script.js";

interface Request {
  readonly script: Script;
  readonly keys: LockKeys;
  readonly args: readonly (string | number)[];
  resolve(acquisition: Acquisition): void;
  reject(error: unknown): void;
}

/**
 * Acquires and waits until replicas acknowledged it. WAIT speaks for the writes of its own connection, and blocks it: what
 * comes meanwhile goes out together afterwards, with one WAIT for all.
 */
export class ReplicatedLink {
  readonly #link: Link;
  readonly #settings: Settings;
  readonly #pending = new Map<Node, Request[]>();
  readonly #busy = new Set<Node>();

  constructor(link: Link, settings: Settings) {
    this.#link = link;
    this.#settings = settings;
  }

  async run(
    script: Script,
    keys: LockKeys,
    args: readonly (string | number)[],
    deadline: number,
  ): Promise<Acquisition> {
    await this.#link.ready(deadline);
    const node = this.#link.nodeOf(keys.slot);
    return new Promise((resolve, reject) => {
      const requests = this.#pending.get(node) ?? [];
      requests.push({ script, keys, args, resolve, reject });
      this.#pending.set(node, requests);
      if (!this.#busy.has(node)) void this.#serve(node);
    });
  }

  close(): void {
    this.#link.close();
  }

  async #serve(node: Node): Promise<void> {
    this.#busy.add(node);
    // Whatever is asked for in the same step goes together.
    await Promise.resolve();
    for (let batch = this.#take(node); batch.length > 0; batch = this.#take(node)) await this.#send(batch);
    this.#busy.delete(node);
  }

  #take(node: Node): Request[] {
    const batch = this.#pending.get(node) ?? [];
    this.#pending.delete(node);
    return batch;
  }

  async #send(batch: readonly Request[], inFull = false): Promise<void> {
    const { replicas, replicaTimeout } = this.#settings;
    try {
      const pipeline = this.#link.greeted.pipeline();
      for (const { script, keys, args } of batch) {
        const { names } = keys;
        if (inFull) pipeline.eval(script.lua, names.length, ...names, ...args);
        else pipeline.evalsha(script.sha, names.length, ...names, ...args);
      }
      pipeline.wait(replicas, replicaTimeout);
      await this.#settle(batch, pipeline);
    } catch (error) {
      for (const request of batch) request.reject(error);
    }
  }

  async #settle(batch: readonly Request[], pipeline: ChainableCommander): Promise<void> {
    const results = (await pipeline.exec()) ?? [];
    const [failed, acknowledged] = results[batch.length] ?? [];
    const unknown: Request[] = [];
    for (const [place, request] of batch.entries()) {
      const [error, answer] = results[place] ?? [new Error("no answer")];
      if (isUnknownScript(error)) unknown.push(request);
      else if (error) request.reject(error);
      else request.resolve({ answer, acknowledged: !failed && Number(acknowledged) >= this.#settings.replicas });
    }
    // Sent again it comes behind the WAIT, which then says nothing about it.
    if (unknown.length > 0) await this.#send(unknown, true);
    if (results.some(([error]) => error?.message.startsWith("MOVED"))) this.#link.refresh();
  }
}
