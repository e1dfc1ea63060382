import { type Alias, type Harness, laws } from "@dlock/conformance";
import type { Guarantees } from "@dlock/core";
import type { ZooKeeper } from "@dlock/testbed";
import { zookeeperProvider, type ZooKeeperOptions } from "@dlock/zookeeper";
import { test } from "vitest";

export const guarantees: Guarantees = {
  exclusion: "consensus",
  failover: "keeps",
  fencing: "unless-data-and-clock-lost",
  alive: "session",
  order: "fifo",
  waiting: "push",
  modes: ["exclusive", "shared", "semaphore"],
};

/** ms of every session in the laws: twenty of the testbed's ticks. */
export const sessionTimeout = 2_000;
/** ms, as the testbed sets it. */
export const tickTime = 100;
/** As slowly as elsewhere: where a lock's node is gone, taking the lock costs a second round trip, for which some laws have no time. */
export const reaping = { "-Dznode.container.checkIntervalMs": "60000" };

/** What one server and an ensemble have in common. Servers end a session up to a tick after its time, and tell of it a moment later. */
export const common: Pick<Harness, "guarantees" | "offers" | "timing"> = {
  guarantees,
  offers: ["inspect", "forceRelease", "raise", "downgrade"],
  timing: { ttl: sessionTimeout, slack: 1_000, deadWaiter: sessionTimeout + 200 },
};

/** The same locks by other words. */
function aliasesOf(url: string, options?: ZooKeeperOptions): readonly Alias[] {
  const { host } = new URL(url.replace(/^\w+:/, "http:"));
  const open = (other: string, more?: ZooKeeperOptions) => async () => peerOf(other, { ...options, ...more });
  return [
    {
      title: "a chroot, and the same encoded, with a slash at its end",
      open: [open(`zookeeper://${host}/app/locks`), open(`zk://${host}/%61pp/l%6Fcks/`)],
    },
    { title: "a mutex of Curator, and a read-write lock", open: [open(url), open(url, { curator: "read-write" })] },
    { title: "with a line, and without one", open: [open(url), open(url, { order: "none" })] },
    { title: "a server, and the same by two addresses", open: [open(url), open(`zk://${host},${host}/`)] },
  ];
}

export function peerOf(url: string, options?: ZooKeeperOptions) {
  const provider = zookeeperProvider({ url }, { sessionTimeout, tickTime, ...options });
  return { provider, close: () => provider.close() };
}

/** What a server lends, as long as it is left alone. */
export function harnessOf(
  zookeeper: ZooKeeper,
  options?: ZooKeeperOptions,
): Pick<Harness, "open" | "openLinked" | "residue" | "aliases"> {
  return {
    aliases: aliasesOf(zookeeper.url, options),
    open: async () => peerOf(zookeeper.url, options),
    openLinked: async () => {
      const link = await zookeeper.link();
      const peer = peerOf(link.url, options);
      return {
        ...peer,
        link,
        close: async () => {
          await peer.close();
          await link.close();
        },
      };
    },
    residue: async () => residueIn(await zookeeper.tree.paths()),
  };
}

/** Who holds and who waits. The nodes of the locks themselves are containers: the server takes empty ones away when it looks. */
export function residueIn(paths: readonly string[]): string[] {
  return paths.filter((path) => path.split("/").length > 2);
}

/** As `conformance` does it, for laws that have to run on servers of different kinds. */
export function someLaws(harness: Harness, picked: (id: string) => boolean): void {
  for (const { id, title, skip, limit, run } of laws(harness)) {
    if (!picked(id)) continue;
    if (skip === undefined) test.concurrent(title, run, limit);
    else test.skip(`${title} (${skip})`, run);
  }
}
