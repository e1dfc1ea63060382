import type { LockProvider } from "@dlock/core";
import type { LinkedPeer, Server } from "@dlock/conformance";
import { Wire, wired } from "./wire.js";

/** Wires from peers to one server, which can be restarted and paused. */
export class Network implements Server {
  readonly #wires = new Set<Wire>();
  readonly #server: () => LockProvider;
  readonly #restarted: (keepData: boolean) => void;

  /** `server`: the provider as it is now; `restarted`: makes it another one. */
  constructor(server: () => LockProvider, restarted: (keepData: boolean) => void) {
    this.#server = server;
    this.#restarted = restarted;
  }

  readonly open = async (): Promise<LinkedPeer> => {
    const link = new Wire();
    this.#wires.add(link);
    const close = async (): Promise<void> => {
      this.#wires.delete(link);
      link.close();
    };
    return { provider: wired(this.#server, link), link, close };
  };

  readonly restart = async ({ keepData }: { readonly keepData: boolean }): Promise<void> => {
    for (const wire of this.#wires) wire.cut();
    this.#restarted(keepData);
    // Nobody misses that it was away.
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (const wire of this.#wires) wire.heal();
  };

  readonly failover = (): Promise<void> => this.restart({ keepData: true });

  readonly pause = async (): Promise<() => Promise<void>> => {
    for (const wire of this.#wires) wire.freeze();
    return async () => {
      for (const wire of this.#wires) wire.heal();
    };
  };
}
