import { LockBackendError } from "@dlock/core";
import { failedWith } from "./failure.js";
import type { Acl, Session } from "./session.js";

/**
 * What is added to a node's czxid to make its fencing token. It begins at the clock, so that tokens go on growing after another backend,
 * or after a server that lost its data, and is the same for all locks of a namespace.
 */
export class Fence {
  readonly #path: string;
  readonly #acl: readonly Acl[];

  constructor(path: string, acl: readonly Acl[]) {
    this.#path = path;
    this.#acl = acl;
  }

  /** `undefined` while nobody has begun it. */
  async read(session: Session): Promise<bigint | undefined> {
    return (await this.#look(session))?.offset;
  }

  /** Begins it such that the token of the node with this czxid is the time in µs, unless somebody else was faster. */
  async begin(session: Session, czxid: bigint): Promise<bigint> {
    const offset = BigInt(Date.now()) * 1_000n - czxid;
    try {
      await session.create(this.#path, Buffer.from(String(offset)), { kind: "persistent", acl: this.#acl });
      return offset;
    } catch (error) {
      if (!failedWith(error, "NODE_EXISTS")) throw error;
      return (await this.read(session)) ?? this.begin(session, czxid);
    }
  }

  /** From now on it is `least`, or more. */
  async raise(session: Session, least: bigint): Promise<void> {
    for (;;) {
      const found = await this.#look(session);
      if (found === undefined) throw new LockBackendError(`${this.#path} is gone`, { retryable: true, noEffect: true });
      if (found.offset >= least) return;
      try {
        await session.setData(this.#path, Buffer.from(String(least)), found.version);
        return;
      } catch (error) {
        if (!failedWith(error, "BAD_VERSION")) throw error;
      }
    }
  }

  async #look(session: Session): Promise<{ readonly offset: bigint; readonly version: number } | undefined> {
    try {
      const { data, stat } = await session.getData(this.#path);
      const text = Buffer.from(data).toString();
      if (!/^-?\d{1,30}$/.test(text)) throw new LockBackendError(`${this.#path} is not ours: it holds no number`);
      return { offset: BigInt(text), version: stat.version };
    } catch (error) {
      if (failedWith(error, "NO_NODE")) return undefined;
      throw error;
    }
  }
}
