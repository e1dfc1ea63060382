import { Bundle } from "./bundle.js";
import { freePort, loopback } from "./port.js";
import { Proxy } from "./proxy.js";
import type { ZooKeeperConfig } from "./zookeeper-server.js";

// Who is elected does not listen at once. A follower that is refused asks again; one that is accepted and then disappointed elects anew.
const patience = 1_000;

interface Ports {
  readonly quorum: number;
  readonly election: number;
}

interface Way {
  readonly from: number;
  readonly to: number;
  readonly quorum: Proxy;
  readonly election: Proxy;
}

/** How the servers of an ensemble reach each other: a link from each to each, for following and one for electing. */
export class ZooKeeperWays {
  readonly #members: readonly Ports[];
  readonly #ways: Way[] = [];

  private constructor(members: readonly Ports[]) {
    this.#members = members;
  }

  static async among(size: number): Promise<ZooKeeperWays> {
    const members: Ports[] = [];
    while (members.length < size) members.push({ quorum: await freePort(), election: await freePort() });
    const ways = new ZooKeeperWays(members);
    for (let from = 0; from < size; from++)
      for (let to = 0; to < size; to++) if (from !== to) await ways.#pave(from, to);
    return ways;
  }

  /** The lines of a server's zoo.cfg that name the members: the others as it reaches them. */
  config(own: number): ZooKeeperConfig {
    const lines = this.#members.map((member, n) => {
      const way = this.#way(own, n);
      const [quorum, election] = way ? [way.quorum.port, way.election.port] : [member.quorum, member.election];
      return [`server.${n + 1}`, `${loopback}:${quorum}:${election}`];
    });
    return Object.fromEntries(lines) as ZooKeeperConfig;
  }

  /** All ways from and to one, or between two. */
  at(one: number, other?: number): Bundle {
    const ends = (way: Way): readonly number[] => [way.from, way.to];
    const ways = this.#ways.filter(
      (way) => ends(way).includes(one) && (other === undefined || ends(way).includes(other)),
    );
    return new Bundle(ways.flatMap(({ quorum, election }) => [quorum, election]));
  }

  async close(): Promise<void> {
    await Promise.all(this.#ways.flatMap(({ quorum, election }) => [quorum.close(), election.close()]));
  }

  async #pave(from: number, to: number): Promise<void> {
    const [caller, called] = [this.#members[from], this.#members[to]];
    if (!caller || !called) return;
    // Of two, the one with the greater number calls: it hangs up on the other and calls back where that says to be, which has to be a link too.
    // All ports have five digits, so that no length changes.
    const greet = (first: Buffer): Buffer => {
      const back = this.#way(to, from)?.election.port;
      return Buffer.from(first.toString("latin1").replace(`:${caller.election}`, `:${back}`), "latin1");
    };
    this.#ways.push({
      from,
      to,
      quorum: await Proxy.start(called.quorum, loopback, { patience }),
      election: await Proxy.start(called.election, loopback, { patience, greet }),
    });
  }

  #way(from: number, to: number): Way | undefined {
    return this.#ways.find((way) => way.from === from && way.to === to);
  }
}
