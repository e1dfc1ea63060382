import { type ClaimRequest, LockConfigError } from "@dlock/core";
import { type Obstacle, obstacleTo } from "./admission.js";
import { type Contender, contendersIn, soleName } from "./contenders.js";
import { failedWith } from "./failure.js";
import { inOrder, look, type Sight } from "./line.js";
import type { Namespace } from "./namespace.js";
import type { Settings } from "./options.js";
import { OwnNode } from "./own-node.js";
import { type Session, ZooKeeperError } from "./session.js";
import { Turn } from "./turn.js";

/** The line changed while it was looked at. */
export const again: unique symbol = Symbol("again");
/** Instead of a name. */
const everybody = "";
const orphan = Symbol("the lock's own node is missing");

/** One claim's dealings with the line of its lock: its own node, and the one it waits for. */
export class Contest {
  readonly node: OwnNode;
  readonly turn: Turn = new Turn();
  readonly #namespace: Namespace;
  readonly #parent: string;
  readonly #request: ClaimRequest;
  readonly #sole: boolean;
  /** Whose end we shall be told; `everybody`: that of any of those before us. */
  #watched: string | undefined;

  constructor(namespace: Namespace, request: ClaimRequest, { order, curator }: Pick<Settings, "order" | "curator">) {
    this.#namespace = namespace;
    this.#parent = namespace.path(request.key);
    this.#request = request;
    this.#sole = order === "none";
    const writer = curator === "mutex" ? "lock-" : "__WRIT__";
    this.node = new OwnNode(this.#parent, { ...request, sole: this.#sole, writer, acl: namespace.acl });
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
    const behind = line.slice(place + 1);
    // The sole node goes before all others, one of which may hold the lock already: it must not stay.
    const before = this.#sole ? behind : line.slice(0, place);
    const obstacle = obstacleTo(this.#request, before);
    if (obstacle === undefined) {
      // They wait to be the first of those who wait.
      if (this.#request.limit > 1 && behind.length > 0) this.node.touch(session).catch(() => {});
      return sight;
    }
    if (this.#sole || !this.#request.join || obstacle.limit !== undefined) await this.withdraw(session);
    if (obstacle.limit !== undefined) throw this.#otherLimit(obstacle.limit);
    return this.#request.limit > 1
      ? this.#watchPermits(session, obstacle, before)
      : this.#watch(session, obstacle.node?.name ?? everybody);
  }

  /** The czxid that none of those can be older than who may hold beside us. */
  async oldest(session: Session): Promise<bigint> {
    const { mode, limit } = this.#request;
    const own = this.node.place?.czxid ?? 0n;
    if (mode === "exclusive" && limit === 1) return own;
    return (await session.exists(this.#parent))?.czxid ?? own;
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
    if (!this.#request.join || this.#watched === name) return undefined;
    this.#watched = name;
    try {
      if (name === everybody) await session.getChildren(this.#parent, this.#wake);
      else await session.getData(`${this.#parent}/${name}`, this.#wake);
      return undefined;
    } catch (error) {
      this.#watched = undefined;
      if (failedWith(error, "NO_NODE")) return again;
      throw error;
    }
  }

  /**
   * The first of those who wait for a permit watches the line. Everybody else watches the one before it, who says so in its node
   * when it holds; that may have been before it was watched, but then the line is not what it was any more.
   */
  async #watchPermits(
    session: Session,
    { node }: Obstacle,
    before: readonly Contender[],
  ): Promise<undefined | typeof again> {
    if (!this.#request.join) return undefined;
    const watched = this.#watch(session, node?.name ?? everybody);
    const seen = session.getChildren(this.#parent);
    const [answer, { children }] = await Promise.all([watched, seen]);
    const there = new Set(contendersIn(children).map(({ name }) => name));
    return before.every(({ name }) => there.has(name)) ? answer : again;
  }

  #otherLimit(inUse: number): LockConfigError {
    const { key, limit } = this.#request;
    return new LockConfigError("limit", limit, `${inUse}, which others use for this key at present`, key);
  }
}
