import type { Locks } from "@dlock/core";
import { once } from "@dlock/core/recipes";
import type { RunCoordinator } from "node-cron";

/** Lets one instance of a fleet run a `distributed` task of node-cron, at each of its times: `cron.setRunCoordinator(cronCoordinator(locks))`. */
export function cronCoordinator(locks: Locks): RunCoordinator {
  const running = new Map<string, () => void>();
  return {
    /** The key names the task and the time; the lease is kept that long at least, for instances whose clocks are late. */
    shouldRun(key, lease) {
      return new Promise((resolve, reject) => {
        const run = () =>
          new Promise<void>((done) => {
            running.set(key, done);
            resolve(true);
          });
        once(locks, `cron:${key}`, { ttl: lease, atLeast: lease }, run).then(
          (ran) => resolve(ran !== undefined),
          reject,
        );
      });
    },
    onComplete(key) {
      running.get(key)?.();
      running.delete(key);
    },
  };
}
