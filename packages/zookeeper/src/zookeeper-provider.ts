import {
  checkFields,
  type ClaimRequest,
  type FencingToken,
  type Guarantees,
  type HolderStatus,
  type LockProvider,
  type LockStatus,
  monotonicNow,
  requireModes,
  type SessionClaim,
  type WaiterStatus,
} from "@dlock/core";
import { holdersIn } from "./admission.js";
import type { Contender } from "./contenders.js";
import { Deployment } from "./deployment.js";
import { failedWith, failure } from "./failure.js";
import { inOrder, look } from "./line.js";
import { settingsOf, type ZooKeeperOptions } from "./options.js";
import { labelOf } from "./own-node.js";
import type { Session } from "./session.js";
import { type Address, parseUrl } from "./url.js";
import { ZooKeeperClaim } from "./zookeeper-claim.js";

/** ms, as long as core waits for a backend by default. */
const patience = 10_000;

/** Where to connect to. */
export interface ZooKeeperServer {
  /** `zookeeper:` or `zk:` */
  readonly url: string;
}

export interface ZooKeeperProvider extends LockProvider {
  claim(request: ClaimRequest): SessionClaim & { raise(floor: FencingToken): Promise<boolean> };
  inspect(key: string): Promise<LockStatus>;
  forceRelease(key: string): Promise<boolean>;
  connect(): Promise<void>;
  close(): Promise<void>;
}

/** Locks in the ensemble that a URL names, in one session, which is opened when it is first needed. */
export function zookeeperProvider(where: ZooKeeperServer, options: ZooKeeperOptions = {}): ZooKeeperProvider {
  checkFields("where", where, ["url"]);
  const { address, query } = parseUrl(where.url);
  checkFields("url", query, []);
  return openProvider(address, options);
}

export function openProvider(address: Address, options: ZooKeeperOptions): ZooKeeperProvider {
  return new SessionProvider(new Deployment(address, settingsOf(options, address)));
}

class SessionProvider implements ZooKeeperProvider {
  readonly guarantees: Guarantees;
  readonly #deployment: Deployment;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.guarantees = {
      exclusion: "consensus",
      failover: "keeps",
      fencing: "unless-data-and-clock-lost",
      alive: "session",
      order: deployment.settings.order,
      waiting: "push",
      // Those without a line have one node for all, which one of them makes.
      modes: deployment.settings.order === "none" ? ["exclusive"] : ["exclusive", "shared", "semaphore"],
    };
  }

  claim(request: ClaimRequest): ZooKeeperClaim {
    requireModes(this.guarantees, request);
    return new ZooKeeperClaim(this.#deployment, request);
  }

  inspect(key: string): Promise<LockStatus> {
    return this.#use(key, async (session, parent) => {
      const { line, offset } = await this.#line(session, parent);
      const stood = await Promise.all(line.map((contender) => this.#describe(session, parent, contender)));
      const there = stood.filter((one) => one !== undefined);
      const holders = new Set(holdersIn(there.map(({ contender }) => contender)));
      const status: { holders: HolderStatus[]; waiters: WaiterStatus[] } = { holders: [], waiters: [] };
      for (const { contender, owner, czxid } of there) {
        const { mode } = contender;
        if (holders.has(contender)) status.holders.push({ owner, mode, fencingToken: czxid + offset });
        else status.waiters.push({ owner, mode });
      }
      return { key, ...status };
    });
  }

  forceRelease(key: string): Promise<boolean> {
    return this.#use(key, async (session, parent) => {
      const { line } = await this.#line(session, parent);
      // The nodes that were seen to hold, and no others: whoever comes next may hold by now.
      const ended = holdersIn(line).map(({ name }) => this.#end(session, `${parent}/${name}`));
      return (await Promise.all(ended)).includes(true);
    });
  }

  async connect(): Promise<void> {
    try {
      await this.#deployment.session.ready(monotonicNow() + patience);
    } catch (error) {
      throw failure(error);
    }
  }

  close(): Promise<void> {
    return this.#deployment.session.close();
  }

  async #line(session: Session, parent: string): Promise<{ line: readonly Contender[]; offset: bigint }> {
    try {
      // What has just happened elsewhere, a follower may not know yet.
      const synced = session.sync(parent);
      const [{ contenders, offset = 0n }] = await Promise.all([
        look(session, parent, this.#deployment.namespace.fence),
        synced,
      ]);
      return { line: await inOrder(session, parent, contenders), offset };
    } catch (error) {
      if (failedWith(error, "NO_NODE")) return { line: [], offset: 0n };
      throw error;
    }
  }

  /** Whether it was there. */
  async #end(session: Session, path: string): Promise<boolean> {
    try {
      await session.delete(path, -1);
      return true;
    } catch (error) {
      if (!failedWith(error, "NO_NODE")) throw error;
      return false;
    }
  }

  async #describe(session: Session, parent: string, contender: Contender): Promise<Standing | undefined> {
    const { name } = contender;
    try {
      const { data, stat } = await session.getData(`${parent}/${name}`);
      return { contender, owner: labelOf(name, data), czxid: contender.czxid ?? stat.czxid };
    } catch (error) {
      if (failedWith(error, "NO_NODE")) return undefined;
      throw error;
    }
  }

  async #use<Value>(key: string, work: (session: Session, parent: string) => Promise<Value>): Promise<Value> {
    try {
      const session = await this.#deployment.session.ready(monotonicNow() + patience);
      return await work(session, this.#deployment.namespace.path(key));
    } catch (error) {
      throw failure(error, key);
    }
  }
}

interface Standing {
  readonly contender: Contender;
  readonly owner: string;
  readonly czxid: bigint;
}
