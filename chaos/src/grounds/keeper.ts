import type { Server } from "@dlock/testbed";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault, Heal } from "../fault.js";

/** Starts a server again that ended by itself, as a service manager does. */
export class Keeper {
  readonly #server: Server;
  readonly #what: string;
  /** Faults that end it on purpose, and start it again. */
  readonly #meant = new Set<object>();
  #over = false;
  readonly #keeping: Promise<void>;

  constructor(server: Server, what: string) {
    this.#server = server;
    this.#what = what;
    this.#keeping = this.#keep();
  }

  /** The same fault; while it is in effect nothing is done against it. */
  spare(fault: Fault): Fault {
    return {
      ...fault,
      strike: async (scene) => {
        const meant = {};
        this.#meant.add(meant);
        let heal: Heal | undefined;
        try {
          heal = await fault.strike(scene);
        } finally {
          if (!heal) this.#meant.delete(meant);
        }
        // What could not be healed is left to the keeper.
        return heal && (() => heal().finally(() => this.#meant.delete(meant)));
      },
    };
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    for (; !this.#over; await sleep(100)) {
      // It may be ended on purpose meanwhile.
      await this.#revive().catch(() => {});
    }
  }

  async #revive(): Promise<void> {
    if (this.#meant.size > 0 || (await this.#server.isRunning())) return;
    const reason = (await this.#server.log()).split("\n").findLast((line) => line.includes("FATAL")) ?? "";
    console.log(`  ${this.#what} ended by itself, and is started again: ${reason}`);
    await this.#server.restart({ keepData: true });
  }
}
