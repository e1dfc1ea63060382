import { pathToFileURL } from "node:url";
import { isAbsolute } from "node:path";
import { createLocks } from "@dlock/core";
import type { AcquireOptions, FencingToken, Lock, Locks } from "@dlock/core";
import { once, type OnceOptions } from "@dlock/core/recipes";
import type { Peer } from "./harness.js";
import type { Answer, Order, Orders, Span, Work } from "./orders.js";

/** The program of a holder process: does what it is told, over Node's IPC channel. */
class Obedient {
  readonly #peer: Peer;
  readonly #locks: Locks;
  #lock: Lock | undefined;
  #lastStep = 0n;
  #lost = false;

  constructor(peer: Peer, locks: Locks) {
    this.#peer = peer;
    this.#locks = locks;
  }

  async acquire(key: string, options: AcquireOptions): Promise<FencingToken> {
    const lock = await this.#locks.acquire(key, options);
    this.#lock = lock;
    this.#step(lock);
    return lock.fencingToken;
  }

  report(): Work {
    return { lastStep: this.#lastStep, lost: this.#lost };
  }

  async release(): Promise<boolean> {
    return (await this.#lock?.release()) ?? false;
  }

  async contend(key: string, rounds: number): Promise<readonly Span[]> {
    const spans: Span[] = [];
    for (let round = 0; round < rounds; round++) {
      const span = await this.#locks.withLock(key, async (lock) => {
        const from = process.hrtime.bigint();
        await new Promise((resolve) => setTimeout(resolve, 1));
        return { token: lock.fencingToken, from, to: process.hrtime.bigint() };
      });
      spans.push(span);
    }
    return spans;
  }

  runOnce(key: string, options: OnceOptions, task: Parameters<Orders["runOnce"]>[2]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const hang = (): Promise<never> => {
        resolve(true);
        return new Promise(() => {});
      };
      const ran = once(this.#locks, key, options, () => (task === "hangs" ? hang() : undefined));
      ran.then((outcome) => resolve(outcome !== undefined), reject);
    });
  }

  async leave(): Promise<void> {
    await this.#locks.close();
    await this.#peer.close();
  }

  #step(lock: Lock): void {
    try {
      // Read before the check: a step counts from the moment at which it was sure.
      const at = process.hrtime.bigint();
      lock.throwIfLost();
      this.#lastStep = at;
      setTimeout(() => this.#step(lock), 1);
    } catch {
      this.#lost = true;
    }
  }
}

function obey(obedient: Obedient, { order, args }: Order): unknown {
  switch (order) {
    case "acquire":
      return obedient.acquire(...(args as [string, AcquireOptions]));
    case "contend":
      return obedient.contend(...(args as [string, number]));
    case "runOnce":
      return obedient.runOnce(...(args as Parameters<Orders["runOnce"]>));
    case "report":
      return obedient.report();
    case "release":
      return obedient.release();
    case "leave":
      return obedient.leave();
  }
}

async function main(): Promise<void> {
  const [module = "", ...args] = process.argv.slice(2);
  const specifier = isAbsolute(module) ? pathToFileURL(module).href : module;
  const { open } = (await import(specifier)) as { open: (...args: readonly string[]) => Promise<Peer> };
  const peer = await open(...args);
  const obedient = new Obedient(peer, await createLocks(peer.provider));
  const answer = (message: Answer): void => void process.send?.(message);
  // A holder whose parent is gone is of no use.
  const orphaned = (): void => process.exit(1);
  process.on("message", (order: Order) => {
    Promise.resolve(order)
      .then((given) => obey(obedient, given))
      .then(
        (value) => {
          answer({ id: order.id, value });
          // What keeps it alive now is what was not closed.
          if (order.order === "leave") process.off("disconnect", orphaned).disconnect();
        },
        (error: Error & { code?: string }) =>
          answer({ id: order.id, error: { code: error.code, message: error.message } }),
      );
  });
  process.on("disconnect", orphaned);
  process.send?.("ready");
}

void main();
