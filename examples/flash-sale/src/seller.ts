import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocks, LockError, LockLostError } from "@dlock/core";
import { nextStripe, striped } from "@dlock/core/recipes";
import type { FromSeller, Method, Order, Outcome, Served, ToSeller } from "./messages.js";
import { partOf, Stock } from "./stock.js";

// One of the processes that sell from the same stock. DLOCK_URL says where its locks live.
const locks = await createLocks();
const stock = new Stock(process.argv[2] ?? "stock.db");

/** The critical section, the same in every round. */
async function sell(order: Order, token?: bigint): Promise<Outcome> {
  const left = stock.left(order.item);
  if (left === 0) return "sold out";
  await think(order, left);
  return stock.sell(order.item, order.buyer, left - 1, token) ? "sold" : "refused";
}

/** What differs: nothing around it, a lock around it, the lock's token shown to the stock, and any one of several locks. */
const methods: Record<Method, (order: Order) => Promise<Outcome>> = {
  unlocked: (order) => sell(order),
  locked: (order) => locks.withLock(`stock:${order.item}`, { ttl: order.ttl }, () => sell(order)),
  fenced: (order) =>
    locks.withLock(`stock:${order.item}`, { ttl: order.ttl }, (lock) => sell(order, lock.fencingToken)),
  striped: async (order) => {
    const stripes = striped(locks, `stock:${order.item}`, order.stripes);
    // Nothing is ever put back: an empty stock needs no lock to be believed.
    const isEmpty = (stripe: number) => stock.left(partOf(order.item, stripe)) === 0;
    if (Array.from({ length: stripes.stripes }, (_, stripe) => stripe).every(isEmpty)) return "sold out";
    const outcome = await stripes.withAnyStripe({ ttl: order.ttl }, async (lock, stripe) => {
      const part = { ...order, item: partOf(order.item, stripe) };
      const result = await sell(part, lock.fencingToken);
      return result === "sold out" ? nextStripe : result;
    });
    return outcome ?? "sold out";
  },
};

async function serve(order: Order): Promise<Served> {
  try {
    return { kind: "served", outcome: await methods[order.method](order) };
  } catch (error) {
    // The lock ended before the sale did. What the sale came to is in the error.
    if (!(error instanceof LockLostError && "result" in error)) throw error;
    return { kind: "served", outcome: error.result as Outcome, lost: error.message };
  }
}

async function think(order: Order, left: number): Promise<void> {
  if (!order.hold) return sleep(5);
  tell({ kind: "thinking", left });
  await once(process, "message");
}

function tell(message: FromSeller): void {
  // A shop that is gone by now needs no answer.
  process.send?.(message, undefined, undefined, () => {});
}

process.on("message", (message: ToSeller) => {
  if (message === "go on") return;
  serve(message).then(tell, (error: unknown) => {
    if (!(error instanceof LockError)) throw error;
    tell({ kind: "failed", message: error.message });
  });
});
process.once("disconnect", () => {
  void locks.close().finally(() => process.exit());
});
// A terminal's signals reach every process in it; the shop sends its sellers home itself.
process.on("SIGINT", () => {}).on("SIGHUP", () => {});
tell({ kind: "ready" });
