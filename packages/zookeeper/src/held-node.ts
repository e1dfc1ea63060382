import { failedWith } from "./failure.js";
import type { OwnNode } from "./own-node.js";
import type { Session } from "./session.js";

/** The node of a hold: kept, proven and made a reader's, while it has one of its two names. */
export class HeldNode {
  readonly #node: OwnNode;
  readonly #lost: (reason: unknown) => void;
  #stop: () => void = () => {};
  /** A downgrade that is under way: the node has either name. */
  #changing: Promise<void> | undefined;

  /** `lost` is called when the node is gone, or will be as soon as the servers know of it. */
  constructor(node: OwnNode, lost: (reason: unknown) => void) {
    this.#node = node;
    this.#lost = lost;
  }

  /** Keeps the session alive until it is stopped. */
  keep(session: Session): void {
    this.#stop = this.#node.keep(session, () => this.#lost(new Error("the node of the claim is gone")));
  }

  stop(): void {
    this.#stop();
  }

  /** The leader says that it is there, by whichever name. */
  async prove(session: Session): Promise<void> {
    for (;;) {
      await this.settled();
      const { path } = this.#node;
      try {
        return await session.heartbeat(path);
      } catch (error) {
        await this.settled();
        if (path === this.#node.path || !failedWith(error, "NO_NODE")) throw error;
      }
    }
  }

  /** Settles when its outcome is certain; later calls join it. Kept again if it is `wanted` then. */
  downgrade(session: Session, wanted: () => boolean): Promise<void> {
    this.#changing ??= this.#become(session, wanted).finally(() => (this.#changing = undefined));
    return this.#changing;
  }

  /** When the node has one name. */
  async settled(): Promise<void> {
    // How it went is told to whoever asked for it.
    await this.#changing?.catch(() => {});
  }

  async #become(session: Session, wanted: () => boolean): Promise<void> {
    // What it asks about is about to go.
    this.stop();
    try {
      await this.#node.downgrade(session);
    } catch (error) {
      if (failedWith(error, "NO_NODE", "SESSION_LOST")) this.#lost(error);
      throw error;
    }
    if (wanted()) this.keep(session);
  }
}
