import type { Claim, FencingToken, Guarantees, LockProvider } from "@dlock/core";
import { type MemoryStore, memoryProvider, memoryStore } from "@dlock/core/memory";
import type { Harness, Link, LinkedPeer } from "@dlock/conformance";
import { HeartbeatClaim } from "./heartbeat-claim.js";
import { Network } from "./network.js";

/** What the combinators are made of here. */
export const memoryGuarantees: Guarantees = memoryProvider().guarantees;

/** What every combinator has in common. */
export const members: Pick<Harness, "offers" | "timing"> = {
  offers: ["inspect", "forceRelease", "raise"],
  timing: { ttl: 600, slack: 600, deadWaiter: 1_000 },
};

type Combine = (members: readonly LockProvider[]) => LockProvider;
type Lent = Pick<Harness, "open" | "openLinked" | "server" | "residue">;

/** Memory stores behind a combinator, with a wire from each peer to each store; wires are disturbed together. */
export function memoryMembers(count: number, combine: Combine): Lent {
  const stores: MemoryStore[] = Array.from({ length: count }, () => memoryStore());
  const networks = stores.map(
    (_, place) =>
      new Network(
        () => memoryProvider({ store: stores[place] as MemoryStore }),
        (keepData) => {
          if (!keepData) stores[place] = memoryStore();
        },
      ),
  );
  const open = async (): Promise<LinkedPeer> => {
    const peers = await Promise.all(networks.map((network) => network.open()));
    return {
      provider: combine(peers.map(({ provider }) => provider)),
      link: together(peers.map(({ link }) => link)),
      close: async () => void (await Promise.all(peers.map((peer) => peer.close()))),
    };
  };
  return {
    open,
    openLinked: open,
    server: {
      restart: async (options) => void (await Promise.all(networks.map((network) => network.restart(options)))),
      pause: async () => {
        const resumes = await Promise.all(networks.map((network) => network.pause()));
        return async () => void (await Promise.all(resumes.map((resume) => resume())));
      },
    },
    residue: async () =>
      stores.flatMap((store, place) => Array.from({ length: store.size }, (_, entry) => `entry ${entry} of ${place}`)),
  };
}

/** The same provider, whose claims keep themselves alive while their process lives. */
export function withSessions(provider: LockProvider): LockProvider {
  return {
    ...provider,
    guarantees: { ...provider.guarantees, alive: "session" },
    claim: (request) => new RaisingHeartbeat(provider.claim(request), request.ttl),
  };
}

class RaisingHeartbeat extends HeartbeatClaim {
  readonly #inner: Claim;

  constructor(inner: Claim, ttl: number) {
    super(inner, ttl);
    this.#inner = inner;
  }

  async raise(floor: FencingToken): Promise<boolean> {
    return (await this.#inner.raise?.(floor)) ?? false;
  }
}

function together(links: readonly Link[]): Link {
  return {
    freeze: () => links.forEach((link) => link.freeze()),
    cut: () => links.forEach((link) => link.cut()),
    dropReplies: () => links.forEach((link) => link.dropReplies()),
    delay: (ms) => links.forEach((link) => link.delay(ms)),
    heal: () => links.forEach((link) => link.heal()),
  };
}
