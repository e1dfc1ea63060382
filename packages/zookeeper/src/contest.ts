import type { ClaimRequest } from "@dlock/core";
import { soleName } from "./contenders.js";
import { failedWith } from "./failure.js";
import { inOrder, look, type Sight } from "./line.js";
import type { Namespace } from "./namespace.js";
import { OwnNode } from "./own-node.js";
import { type Session, ZooKeeperError } from "./session.js";
import { Turn } from "./turn.js";

/** The line changed while it was looked at. */
export const again: unique symbol = Symbol("again");
const orphan = Symbol("the lock's own node is missing");

/** One claim's dealings with the line of its lock: its own node, and the one it waits for. */
export class Contest {
  readonly node: OwnNode;
  readonly turn: Turn = new Turn();
  readonly #namespace: Namespace;
  readonly #parent: string;
  readonly #waits: boolean;
  readonly #sole: boolean;
  /** Whose end we shall be told. */
  #watched: string | undefined;

  constructor(namespace: Namespace, { key, owner, join }: ClaimRequest, order: "fifo" | "none") {
    this.#namespace = namespace;
    this.#parent = namespace.path(key);
    this.#waits = join;
    this.#sole = order === "none";
    this.node = new OwnNode(this.#parent, owner, { sole: this.#sole, acl: namespace.acl });
  }

  /** What it saw when our node holds the lock; else `undefined`, and we are told when to look again. Rejects with NO_NODE when our node is gone. */
  async look(session: Session): Promise<Sight | undefined | typeof again> {
    this.turn.asking();
    const sight = await (this.node.place === undefined ? this.#join(session) : this.#lookAgain(session));
    if (sight === again) return again;
    // The sole node is somebody else's.
    if (sight === undefined) return this.#watch(session, soleName);
    const line = await inOrder(session, this.#parent, sight.contenders);
    const place = line.findIndex(({ name }) => name === this.node.place?.name);
    if (place < 0) throw new ZooKeeperError("NO_NODE", `${this.node.path} is gone`, { noEffect: true });
    // The sole node goes before all others, one of which may hold the lock already: it must not stay.
    if (place === 0 && !(this.#sole && line.length > 1)) return sight;
    if (this.#sole || !this.#waits) await this.withdraw(session);
    return this.#watch(session, line.at(this.#sole ? -1 : place - 1)?.name ?? "");
  }

  /** Resolves when nothing of ours is left. */
  async withdraw(session: Session): Promise<void> {
    session.unwatch(this.#wake);
    this.#watched = undefined;
    await this.node.remove(session);
  }

  readonly #wake = (): void => {
    this.#watched = undefined;
    this.turn.now();
  };

  /** Makes the node and looks, in one round trip unless the lock's own node is missing, or went as it was empty for long. */
  async #join(session: Session): Promise<Sight | undefined | typeof again> {
    const first = await this.#make(session);
    if (first !== orphan) return first;
    const grown = this.#namespace.grow(session, this.#parent);
    grown.catch(() => {});
    const second = await this.#make(session);
    if (second !== orphan) return second;
    await grown;
    return again;
  }

  async #make(session: Session): Promise<Sight | undefined | typeof orphan> {
    const made = this.node.create(session);
    const seen = look(session, this.#parent, this.#namespace.fence);
    const [making, sight] = await Promise.allSettled([made, seen]);
    if (making.status === "rejected") {
      if (failedWith(making.reason, "NO_NODE")) return orphan;
      if (this.#sole && failedWith(making.reason, "NODE_EXISTS")) return undefined;
      throw making.reason;
    }
    if (sight.status === "rejected") throw sight.reason;
    return sight.value;
  }

  /** A follower may be behind the times and this session over: what proves the node is the leader's answer, asked for last. */
  async #lookAgain(session: Session): Promise<Sight> {
    const seen = look(session, this.#parent, this.#namespace.fence);
    const [sight] = await Promise.all([seen, session.heartbeat(this.node.path)]);
    return sight;
  }

  /** By reading it, not by asking whether it exists: a watch on a node that is not there would stay for ever. */
  async #watch(session: Session, name: string): Promise<undefined | typeof again> {
    if (!this.#waits || this.#watched === name) return undefined;
    this.#watched = name;
    try {
      await session.getData(`${this.#parent}/${name}`, this.#wake);
      return undefined;
    } catch (error) {
      this.#watched = undefined;
      if (failedWith(error, "NO_NODE")) return again;
      throw error;
    }
  }
}
