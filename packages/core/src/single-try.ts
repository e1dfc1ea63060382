import { monotonicNow } from "./clock.js";
import { asLockError, lateAnswer } from "./errors.js";
import type { Queue } from "./queue.js";
import { certainUntil } from "./validity.js";
import type { Waiter } from "./waiter.js";

/** One attempt for a waiter, from outside every line; `refuse` ends the wait when the lock is not free. Never rejects. */
export async function tryOnce(queue: Queue, waiter: Waiter, refuse: () => void): Promise<void> {
  const { want } = waiter;
  try {
    const contender = queue.contender(want, { join: false });
    waiter.left = (ending) => ending === "failed" && queue.retire(contender, want.backendTimeout);
    const grant = await contender.tryAcquireAfresh(monotonicNow() + want.backendTimeout);
    if (grant === undefined) {
      queue.contended(waiter);
      // Nothing was taken and no place kept: there is nothing to give up.
      waiter.left = () => {};
      refuse();
    } else if (certainUntil(contender.claim, grant.asked, want.ttl) <= monotonicNow()) {
      waiter.fail(lateAnswer(want));
    } else {
      waiter.take(() => queue.hold(want, contender, grant));
    }
  } catch (error) {
    waiter.fail(asLockError(error, want.key));
  }
}
