import type { ZooKeeperEnsemble } from "@dlock/testbed";

const attempts = 3;

/**
 * Resolves when the ensemble has a leader and commits a write. ZooKeeper 3.8 may have a leader and followers that agree on nothing any
 * more: when followers leave a leader that stood still, and come back to the same one before it has noticed, what it proposed meanwhile is
 * never acknowledged, nor is anything after it. It went on for 20 s and until the next fault, so the leader is restarted, as an operator would do.
 */
export async function untilServing(ensemble: ZooKeeperEnsemble): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await ensemble.settle();
    const leader = await ensemble.leader();
    try {
      // It writes.
      await leader.tree.clock();
      return;
    } catch (error) {
      if (attempt === attempts) throw error;
      console.log(`  zookeeper has a leader, but commits nothing; it is restarted: ${(error as Error).message}`);
      await leader.server.restart({ keepData: true });
    }
  }
}
