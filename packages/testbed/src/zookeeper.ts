import { lentUrl } from "./backend.js";
import type { ReadingLink } from "./link.js";
import { freePort, loopback } from "./port.js";
import { Proxy } from "./proxy.js";
import { record } from "./record.js";
import type { Server } from "./server.js";
import { ZooKeeperLook } from "./zookeeper-look.js";
import { startZooKeeperServer } from "./zookeeper-server.js";
import type { ZooKeeperConfig } from "./zookeeper-server.js";
import { say } from "./zookeeper-words.js";
import type { Word } from "./zookeeper-words.js";

/** The server lent by `DLOCK_TEST_ZOOKEEPER_URL`, which is as it is, else one of our own. */
export async function openZooKeeper(config: ZooKeeperConfig = {}): Promise<ZooKeeper> {
  const lent = lentUrl("zookeeper");
  if (lent === undefined) return startZooKeeper(config);
  const zookeeper = new ZooKeeper(lent);
  await zookeeper.tree.paths();
  record("zookeeper", "lent by DLOCK_TEST_ZOOKEEPER_URL");
  return zookeeper;
}

/** Starts one that is alone; its data survives `server.restart({ keepData: true })`. */
export async function startZooKeeper(config: ZooKeeperConfig = {}): Promise<StartedZooKeeper> {
  const port = await freePort();
  const server = await startZooKeeperServer(port, config);
  return new ZooKeeper(`zookeeper://${loopback}:${port}`, server) as StartedZooKeeper;
}

export type StartedZooKeeper = ZooKeeper & { readonly server: Server };
export type ZooKeeperLink = ReadingLink & { readonly url: string; close(): Promise<void> };
export type Role = "standalone" | "leader" | "follower" | "none";

/** A ZooKeeper server to test on. */
export class ZooKeeper {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** What can happen to the server; absent when it is lent, for what was not started here is not killed either. */
  readonly server: Server | undefined;
  /** A look at the tree from the side, which goes through no link. */
  readonly tree: ZooKeeperLook;
  readonly #links: Proxy[] = [];

  constructor(url: string, server?: Server) {
    const { hostname, port } = new URL(url);
    this.url = url;
    this.host = hostname;
    this.port = Number(port || 2181);
    this.server = server;
    this.tree = new ZooKeeperLook(this.host, this.port);
  }

  /** A proxy in front of the server, and all that can happen to a network. */
  async link(): Promise<ZooKeeperLink> {
    const proxy = await Proxy.start(this.port, this.host);
    this.#links.push(proxy);
    const url = new URL(this.url);
    [url.hostname, url.port] = [loopback, String(proxy.port)];
    return Object.assign(proxy, { url: url.href.replace(/\/$/, "") });
  }

  /** What the server says to a word of four letters. */
  say(word: Word): Promise<string> {
    return say(word, this.port, this.host);
  }

  /** What it is among its like; `none` while it serves nobody, or is not there at all. */
  async role(): Promise<Role> {
    const said = await this.say("srvr").catch(() => "");
    return (/^Mode: (\w+)$/m.exec(said)?.[1] ?? "none") as Role;
  }

  /** `mntr`: the server's counters, without their `zk_`. */
  async counters(): Promise<Readonly<Record<string, number>>> {
    const lines = (await this.say("mntr")).split("\n").map((line) => line.split("\t"));
    return Object.fromEntries(
      lines
        .map(([name = "", value]) => [name.replace(/^zk_/, ""), Number(value)] as const)
        .filter(([, value]) => Number.isFinite(value)),
    );
  }

  /** By how much counters grew or fell while `work` was done, for any client. Sums and counts only: what is an average or a percentile has no difference. */
  async count(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
    const before = await this.counters();
    await work();
    const after = await this.counters();
    const differences = Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)] as const);
    return Object.fromEntries(
      differences.filter(([name, by]) => by !== 0 && !/^(avg|min|max|p\d+)_/.test(name) && name !== "uptime"),
    );
  }

  /** How many sessions watch which path, at this server. */
  async watches(): Promise<ReadonlyMap<string, number>> {
    const watches = new Map<string, number>();
    let path = "";
    for (const line of (await this.say("wchp")).split("\n"))
      if (line.startsWith("/")) watches.set((path = line), 0);
      else if (line.startsWith("\t")) watches.set(path, (watches.get(path) ?? 0) + 1);
    return watches;
  }

  /** Sessions and their ephemeral nodes; of several servers only the leader knows all. */
  async ephemerals(): Promise<ReadonlyMap<string, readonly string[]>> {
    const said = await this.say("dump");
    const dumped = said.slice(said.indexOf("Sessions with Ephemerals"));
    const sessions = [...dumped.matchAll(/^(0x[\da-f]+):\n((?:\t\/.*\n?)*)/gm)];
    return new Map(sessions.map(([, id = "", paths = ""]) => [id, paths.trim().split(/\n\t?/)]));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
    await this.server?.stop();
  }
}
