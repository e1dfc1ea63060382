import { contenderOf, downgradedName, soleName, stemOf, type Terms } from "./contenders.js";
import { failedWith } from "./failure.js";
import { type Acl, type Session, type Watch, ZooKeeperError } from "./session.js";
import { untilConnected } from "./until-connected.js";

interface Place {
  readonly name: string;
  /** Of the node that was first there. */
  readonly czxid: bigint;
}

/** What one's node is to be. */
export interface NodeTerms extends Terms {
  readonly owner: string;
  readonly acl: readonly Acl[];
  /** What exclusive ones are called; the sole one by that name alone. */
  readonly writer: string;
  readonly sole: boolean;
}

/** The ephemeral node of one claim, from before it is asked for until it is certainly gone. */
export class OwnNode {
  /** Where it is, as far as the server has said. */
  place: Place | undefined;
  readonly #parent: string;
  readonly #terms: NodeTerms;
  #guid: string = crypto.randomUUID();
  /** Something of it was sent, and nobody knows what became of it. */
  #doubtful = false;

  constructor(parent: string, terms: NodeTerms) {
    this.#parent = parent;
    this.#terms = terms;
  }

  get #sole(): boolean {
    return this.#terms.sole;
  }

  get #data(): Uint8Array {
    const { sole, owner } = this.#terms;
    return Buffer.from(sole ? `${this.#guid} ${owner}` : owner);
  }

  get path(): string {
    return `${this.#parent}/${this.place?.name}`;
  }

  /** Whether the server has to be asked what became of it. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** Rejects with NO_NODE when its parent is missing, with NODE_EXISTS when another sole node is there. */
  async create(session: Session): Promise<void> {
    const { sole, writer, acl } = this.#terms;
    const name = sole ? soleName : stemOf(this.#guid, this.#terms, writer);
    const kind = sole ? "ephemeral" : "ephemeral-sequential";
    try {
      const made = await session.create(`${this.#parent}/${name}`, this.#data, { kind, acl });
      this.place = { name: made.path.slice(this.#parent.length + 1), czxid: made.czxid };
    } catch (error) {
      this.#doubtful = !(error instanceof ZooKeeperError && error.noEffect);
      throw error;
    }
  }

  /** Learns whether it is there. The connection on which it was asked for is gone by now, so nothing of that comes later. */
  async find(session: Session): Promise<void> {
    // A follower may not have heard of it yet.
    const synced = session.sync(this.#parent);
    const found = this.#sole ? this.#findSole(session) : this.#findSequential(session);
    [this.place] = await Promise.all([found, synced]);
    this.#doubtful = false;
  }

  /** Resolves when it is certainly gone, however many connections that takes; rejects when the session is over before. */
  async remove(session: Session): Promise<void> {
    if (this.place === undefined && !this.#doubtful) return;
    await untilConnected(session, async () => {
      if (this.#doubtful) await this.find(session);
      if (this.place === undefined) return;
      try {
        await session.delete(this.path, -1);
      } catch (error) {
        if (!failedWith(error, "NO_NODE")) {
          // What has that name next time may be somebody else's.
          this.#doubtful = this.#sole;
          throw error;
        }
      }
      this.place = undefined;
    });
  }

  /** Puts a reader in its place, in one step; resolves when that is certain, however many connections it takes. Rejects with NO_NODE when it is gone. */
  async downgrade(session: Session): Promise<void> {
    await untilConnected(session, async () => {
      if (this.#doubtful) await this.find(session);
      if (this.place === undefined) throw new ZooKeeperError("NO_NODE", "the node is gone", { noEffect: true });
      if (contenderOf(this.place.name)?.mode === "shared") return session.heartbeat(this.path);
      const name = downgradedName(this.#guid, this.place);
      try {
        await session.replace(this.path, `${this.#parent}/${name}`, this.#data, this.#terms.acl);
      } catch (error) {
        this.#doubtful = !(error instanceof ZooKeeperError && error.noEffect);
        throw error;
      }
      this.place = { ...this.place, name };
    });
  }

  /** Tells who watches it that it holds. Who does not hear of it hears of its end. */
  async touch(session: Session): Promise<void> {
    await untilConnected(session, () => session.setData(this.path, this.#data, -1));
  }

  /** Its session is over. What the server may still have of it belongs to nobody, so that another one must not be taken for it. */
  forget(): void {
    this.#guid = crypto.randomUUID();
    this.place = undefined;
    this.#doubtful = false;
  }

  /** Keeps the session alive until the returned function is called, and says when the node is gone. */
  keep(session: Session, gone: () => void): () => void {
    const stop = session.keep(this.path, gone);
    if (!this.#sole) return stop;
    // That check is by name, and would take the sole node of a successor for ours.
    let kept = true;
    const look = async (): Promise<void> => {
      // Told of a successor's node, as that was asked about before the end.
      if (!kept) return;
      if ((await untilConnected(session, () => this.#findSole(session, changed))) === undefined) gone();
    };
    const changed = (): void => void look().catch(() => {});
    changed();
    return () => {
      kept = false;
      session.unwatch(changed);
      stop();
    };
  }

  async #findSole(session: Session, changed?: Watch): Promise<Place | undefined> {
    try {
      const { data, stat } = await session.getData(`${this.#parent}/${soleName}`, changed);
      // What is in it anybody may change.
      const ours = this.place ? stat.czxid === this.place.czxid : Buffer.from(data).equals(this.#data);
      return ours ? { name: soleName, czxid: stat.czxid } : undefined;
    } catch (error) {
      return absent(error);
    }
  }

  async #findSequential(session: Session): Promise<Place | undefined> {
    try {
      const { children } = await session.getChildren(this.#parent);
      const name = children.find((child) => child.startsWith(`_c_${this.#guid}-`));
      if (name === undefined) return undefined;
      const { stat } = await session.getData(`${this.#parent}/${name}`);
      return { name, czxid: contenderOf(name)?.czxid ?? stat.czxid };
    } catch (error) {
      return absent(error);
    }
  }
}

/** The label of whoever made a node: what is in it, without the guid that is in the sole node's data instead of its name. */
export function labelOf(name: string, data: Uint8Array): string {
  const text = Buffer.from(data).toString();
  return name === soleName ? text.replace(/^[\da-f-]{36} /, "") : text;
}

function absent(error: unknown): undefined {
  if (!failedWith(error, "NO_NODE")) throw error;
}
