import { Fence } from "./fence.js";
import { failedWith } from "./failure.js";
import { nodeName, offsetName } from "./node-name.js";
import type { Settings } from "./options.js";
import type { Acl, NodeKind, Session } from "./session.js";

const everything = 31;
const acls: { readonly [Name in Settings["acl"]]: readonly Acl[] } = {
  open: [{ perms: everything, scheme: "world", id: "anyone" }],
  creator: [{ perms: everything, scheme: "auth", id: "" }],
};
const nothing = new Uint8Array();

/** All locks below one chroot. */
export class Namespace {
  readonly acl: readonly Acl[];
  readonly fence: Fence;
  readonly #chroot: string;
  /** Containers go when they are empty; servers before 3.5 have none. */
  #kind: NodeKind = "container";

  constructor(chroot: string, { acl }: Settings) {
    this.acl = acls[acl];
    this.fence = new Fence(`${chroot}/${offsetName}`, this.acl);
    this.#chroot = chroot;
  }

  /** The node below which a key's contenders stand in line. */
  path(key: string): string {
    return `${this.#chroot}/${nodeName(key)}`;
  }

  /** Makes a lock's node and what is missing above it, sent before anything that is asked for later in this turn. */
  async grow(session: Session, path: string): Promise<void> {
    const names = this.#chroot.split("/").slice(1);
    const parents = names.map((_, depth) => `/${names.slice(0, depth + 1).join("/")}`);
    const made = parents.map((parent) => this.#make(session, parent, "persistent"));
    const outcomes = await Promise.allSettled([...made, this.#make(session, path, this.#kind)]);
    // Who may not make what is there already may still make what is below.
    const last = outcomes.at(-1);
    if (last?.status !== "rejected") return;
    // Without its parent: what could not be made first is the reason.
    const first = outcomes.find(({ status }) => status === "rejected") ?? last;
    if (failedWith(last.reason, "NO_NODE") && first.status === "rejected") throw first.reason;
    if (!failedWith(last.reason, "UNIMPLEMENTED")) throw last.reason;
    this.#kind = "persistent";
    await this.#make(session, path, this.#kind);
  }

  async #make(session: Session, path: string, kind: NodeKind): Promise<void> {
    try {
      await session.create(path, nothing, { kind, acl: this.acl });
    } catch (error) {
      if (!failedWith(error, "NODE_EXISTS")) throw error;
    }
  }
}
